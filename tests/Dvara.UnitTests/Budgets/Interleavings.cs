namespace Dvara.UnitTests.Budgets;

/// <summary>
/// Runs concurrent actors in every order that their steps can have. A slice does each of its calls under one lock, and the database each of
/// its transactions, so whole steps are all that threads and processes can interleave.
/// </summary>
internal static class Interleavings
{
    /// <param name="setUp">Makes a new world: the steps of each actor, and what must hold when all are done.</param>
    /// <returns>How many orders there are.</returns>
    public static int RunAll(Func<Scene> setUp)
    {
        var lengths = setUp().Actors.Select(steps => steps.Length).ToArray();
        var orders = 0;
        foreach (var order in Orders(lengths, new int[lengths.Sum()], 0))
        {
            Run(setUp(), order);
            orders++;
        }

        return orders;
    }

    private static void Run(Scene scene, int[] order)
    {
        var next = new int[scene.Actors.Length];
        try
        {
            foreach (var actor in order)
            {
                scene.Actors[actor][next[actor]++]();
            }

            scene.End();
        }
        catch (InvalidOperationException broken)
        {
            throw new InvalidOperationException(
                $"{broken.Message} Order of the actors: {string.Join(' ', order)}; steps done: {next.Sum()}.", broken);
        }
    }

    /// <summary>The same array every time, with the actors in another order.</summary>
    private static IEnumerable<int[]> Orders(int[] left, int[] order, int place)
    {
        if (place == order.Length)
        {
            yield return order;
            yield break;
        }

        for (var actor = 0; actor < left.Length; actor++)
        {
            if (left[actor] == 0)
            {
                continue;
            }

            left[actor]--;
            order[place] = actor;
            foreach (var rest in Orders(left, order, place + 1))
            {
                yield return rest;
            }

            left[actor]++;
        }
    }
}

internal sealed record Scene(Action End, params Action[][] Actors);
