using System.Buffers;
using System.IO.Hashing;
using System.Runtime.CompilerServices;

namespace Dvara.Providers.Requests;

/// <summary>
/// The member names of every object that is open, so that a second one of the same name is seen. Names are kept as 64-bit hashes under
/// a secret seed: two different names that share one are less likely than a broken disk, and whoever met them would be told 400.
/// </summary>
internal struct MemberNames : IDisposable
{
    /// <summary>Bounds the linear search; real requests have fewer than a hundred.</summary>
    public const int MembersMax = 4096;

    private static readonly long Seed = Random.Shared.NextInt64();

    private Starts _starts;
    private ulong[] _hashes;
    private int _count;

    public MemberNames() => _hashes = ArrayPool<ulong>.Shared.Rent(128);

    public readonly bool Full(int depth) => _count - _starts[depth] >= MembersMax;

    public void Open(int depth) => _starts[depth] = _count;

    public void Close(int depth) => _count = _starts[depth];

    /// <summary>False: the object at this depth has that name already.</summary>
    public bool Add(int depth, ReadOnlySpan<byte> name)
    {
        var hash = XxHash3.HashToUInt64(name, Seed);
        var start = _starts[depth];
        if (_hashes.AsSpan(start, _count - start).Contains(hash))
        {
            return false;
        }

        if (_count == _hashes.Length)
        {
            var wider = ArrayPool<ulong>.Shared.Rent(_count * 2);
            _hashes.CopyTo(wider, 0);
            ArrayPool<ulong>.Shared.Return(_hashes);
            _hashes = wider;
        }

        _hashes[_count++] = hash;
        return true;
    }

    public void Dispose() => ArrayPool<ulong>.Shared.Return(_hashes);

    [InlineArray(JsonCursor.DepthMax)]
    private struct Starts
    {
        private int _first;
    }
}
