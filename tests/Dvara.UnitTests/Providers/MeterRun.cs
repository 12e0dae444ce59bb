using System.Buffers;
using System.Text;
using CsCheck;
using Dvara.Providers;
using Dvara.Providers.EventStream;

namespace Dvara.UnitTests.Providers;

/// <summary>All that a meter made of one answer.</summary>
internal sealed record MeterRun(string Client, string Tail, AnswerFacts Facts, bool Terminated, bool Finished, bool Failed)
{
    /// <summary>Lengths of chunks, taken in turn until the answer is used up; mostly short, so that every boundary is cut somewhere.</summary>
    public static readonly Gen<int[]> Cuts = Gen.OneOf(Gen.Int[1, 3], Gen.Int[1, 60], Gen.Const(1_000_000)).Array[1, 8];

    /// <summary>Feeds the answer in chunks of these lengths; facts are asked for in between, as checkpoints do.</summary>
    public static MeterRun Of(IStreamMeter meter, ReadOnlySpan<byte> answer, params ReadOnlySpan<int> cuts)
    {
        using (meter)
        {
            var client = new ArrayBufferWriter<byte>();
            for (var i = 0; !answer.IsEmpty; i++)
            {
                var length = cuts.IsEmpty ? answer.Length : Math.Min(answer.Length, cuts[i % cuts.Length]);
                meter.Feed(answer[..length], client);
                answer = answer[length..];
                if (i % 16 == 0)
                {
                    meter.Facts(estimate: true);
                }
            }

            meter.Complete();
            return new MeterRun(
                Encoding.UTF8.GetString(client.WrittenSpan), Encoding.UTF8.GetString(meter.Tail.Span), meter.Facts(estimate: true),
                meter.Terminated, meter.Finished, meter.Failed);
        }
    }
}
