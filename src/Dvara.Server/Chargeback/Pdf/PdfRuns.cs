using System.Globalization;
using System.Text;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>A piece of a line in one face.</summary>
internal readonly record struct PdfRun(string Text, PdfFace Face);

/// <summary>
/// Cuts a line into runs, from left to right as they are drawn. Directions as in the Unicode bidirectional algorithm (UAX #9) for a line
/// without marks: its first strong letter says where it begins, numbers keep their order, and what stands between two pieces of one
/// direction goes with them.
/// </summary>
internal static class PdfRuns
{
    private const string Mirrored = "()[]{}<>\u00AB\u00BB\u2039\u203A";

    private enum Direction
    {
        Neutral,
        LeftToRight,
        RightToLeft,
        Number,
    }

    /// <param name="text">Clean: every character is in a face.</param>
    /// <param name="faceOf">The first face that has a character.</param>
    public static IReadOnlyList<PdfRun> Of(string text, Func<int, PdfFace> faceOf)
    {
        List<(StringBuilder Text, PdfFace Face, Direction Direction)> pieces = [];
        foreach (var rune in text.EnumerateRunes())
        {
            var direction = DirectionOf(rune);
            var last = pieces.Count > 0 ? pieces[^1] : default;

            // What has no direction of its own, a mark on a letter most of all, stays with what is before it.
            var face = direction == Direction.Neutral && last.Face?.Has(rune.Value) == true ? last.Face : faceOf(rune.Value);
            if (last.Text is not null && face == last.Face && (direction == last.Direction || IsMark(rune)))
            {
                last.Text.Append(rune.ToString());
            }
            else
            {
                pieces.Add((new StringBuilder(rune.ToString()), face, direction));
            }
        }

        if (pieces.TrueForAll(piece => piece.Direction != Direction.RightToLeft))
        {
            return Join(pieces.Select(piece => new PdfRun(piece.Text.ToString(), piece.Face)));
        }

        var levels = Levels([.. pieces.Select(piece => piece.Direction)]);
        return [.. Order(levels).Select(i => new PdfRun(
            levels[i] == 1 && pieces[i].Direction == Direction.Neutral ? Turn(pieces[i].Text.ToString()) : pieces[i].Text.ToString(), pieces[i].Face))];
    }

    /// <summary>Spaces and brackets that are read from right to left: the last comes first, and what opens closes.</summary>
    private static string Turn(string text) => string.Concat(text.EnumerateRunes().Reverse().Select(rune =>
        Mirrored.IndexOf(rune.ToString(), StringComparison.Ordinal) is var at and >= 0 ? Mirrored[at ^ 1].ToString() : rune.ToString()));

    private static int[] Levels(Direction[] directions)
    {
        var rightToLeft = directions.First(direction => direction is Direction.LeftToRight or Direction.RightToLeft) == Direction.RightToLeft;
        var ground = rightToLeft ? 1 : 0;
        var levels = new int[directions.Length];
        var strong = rightToLeft;
        for (var i = 0; i < directions.Length; i++)
        {
            strong = directions[i] switch
            {
                Direction.LeftToRight => false,
                Direction.RightToLeft => true,
                _ => strong,
            };
            levels[i] = directions[i] switch
            {
                Direction.LeftToRight => ground * 2,
                Direction.RightToLeft => 1,
                Direction.Number when strong => 2,
                Direction.Number => ground * 2,
                _ => Before(directions, i, rightToLeft) == After(directions, i, rightToLeft) ? (strong ? 1 : ground * 2) : ground,
            };
        }

        return levels;
    }

    private static bool Before(Direction[] directions, int at, bool ground)
    {
        for (var i = at - 1; i >= 0; i--)
        {
            if (directions[i] is Direction.LeftToRight or Direction.RightToLeft)
            {
                return directions[i] == Direction.RightToLeft;
            }
        }

        return ground;
    }

    private static bool After(Direction[] directions, int at, bool ground)
    {
        for (var i = at + 1; i < directions.Length; i++)
        {
            if (directions[i] is Direction.LeftToRight or Direction.RightToLeft)
            {
                return directions[i] == Direction.RightToLeft;
            }
        }

        return ground;
    }

    /// <summary>From the highest level down, every stretch of that level or more is turned round (UAX #9, rule L2).</summary>
    private static int[] Order(int[] levels)
    {
        int[] order = [.. Enumerable.Range(0, levels.Length)];
        for (var level = levels.Max(); level > 0; level--)
        {
            for (var start = 0; start < order.Length; start++)
            {
                var end = start;
                while (end < order.Length && levels[order[end]] >= level)
                {
                    end++;
                }

                Array.Reverse(order, start, end - start);
                start = end;
            }
        }

        return order;
    }

    private static List<PdfRun> Join(IEnumerable<PdfRun> runs)
    {
        List<PdfRun> joined = [];
        foreach (var run in runs)
        {
            if (joined.Count > 0 && joined[^1].Face == run.Face)
            {
                joined[^1] = joined[^1] with { Text = joined[^1].Text + run.Text };
            }
            else
            {
                joined.Add(run);
            }
        }

        return joined;
    }

    private static bool IsMark(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    private static Direction DirectionOf(Rune rune) =>
        Rune.IsLetter(rune) ? (IsRightToLeft(rune.Value) ? Direction.RightToLeft : Direction.LeftToRight)
        : Rune.IsDigit(rune) ? Direction.Number
        : Direction.Neutral;

    /// <summary>The blocks of Hebrew, Arabic and their kin.</summary>
    private static bool IsRightToLeft(int rune) => rune is (>= 0x0590 and <= 0x08FF) or (>= 0xFB1D and <= 0xFDFF) or (>= 0xFE70 and <= 0xFEFF);
}
