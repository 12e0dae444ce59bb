using System.Net;
using Dvara.Server.Hosting;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Orleans.Configuration;
using Orleans.Runtime.MembershipService;
using Orleans.Storage;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>Our tables and query texts under the real providers and real silos; what holds for grain state holds on SQLite too.</summary>
public sealed class OrleansTablesTests(OrleansCluster cluster) : IClassFixture<OrleansCluster>
{
    private static readonly DateTime Now = DateTime.SpecifyKind(TimeProvider.System.GetUtcNow().UtcDateTime.Date, DateTimeKind.Utc);

    [Fact]
    public async Task Silos_OnOneDatabase_SeeEachOther()
    {
        foreach (var node in new[] { cluster.First, cluster.Second })
        {
            await UntilAsync("both silos to be active", async () =>
            {
                var active = await node.Grains.GetGrain<IManagementGrain>(0).GetHosts(onlyActive: true);
                return active.ContainsKey(cluster.First.Address) && active.ContainsKey(cluster.Second.Address);
            });
        }
    }

    [Fact]
    public async Task Gateway_WithoutASilo_CallsGrainsOfTheCluster()
    {
        await using var gateway = await cluster.StartNodeAsync(NodeRole.Gateway);

        var active = await gateway.Grains.GetGrain<IManagementGrain>(0).GetHosts(onlyActive: true);

        Assert.Contains(cluster.First.Address, active.Keys);
        Assert.Null(gateway.Services.GetService<ILocalSiloDetails>());
    }

    [Fact]
    public async Task Silo_WhoseProcessIsKilled_IsDeclaredDeadByTheOthers()
    {
        var members = cluster.First.Services.GetRequiredService<IMembershipTable>();
        using var process = DoomedSilo.Start(cluster.Database.Application);
        await UntilAsync("the third silo to be active", async () => (await ThirdAsync())?.Status == SiloStatus.Active);

        process.Kill();

        await UntilAsync("the third silo to be dead", async () => (await ThirdAsync())?.Status == SiloStatus.Dead);
        Assert.NotEmpty((await ThirdAsync())!.SuspectTimes!);

        async Task<MembershipEntry?> ThirdAsync() => (await members.ReadAllAsync()).Members
            .Select(member => member.Item1)
            .SingleOrDefault(entry => !entry.SiloAddress.Equals(cluster.First.Address) && !entry.SiloAddress.Equals(cluster.Second.Address));
    }

    [Fact]
    public async Task Script_BesideRunningSilos_RunsAgain()
    {
        await cluster.ApplyScriptAsync();

        Assert.Equal(1, await cluster.CountAsync("OrleansQuery", "QueryKey = 'ReadRangeRows2Key'"));
    }

    [Fact]
    public async Task Membership_WithAStaleVersionOrAnUnknownSilo_ChangesNothing()
    {
        var table = await OwnTableAsync("versions");
        var silo = Entry(1, SiloStatus.Joining, Now);
        var start = (await table.ReadAllAsync()).Version;
        Assert.Empty((await table.ReadAllAsync()).Members);

        Assert.True(await table.InsertRowAsync(silo, start.Next()));
        var joined = await table.ReadAllAsync();
        Assert.False(await table.InsertRowAsync(Entry(2, SiloStatus.Joining, Now), start.Next()));
        Assert.False(await table.InsertRowAsync(silo, joined.Version.Next()));
        Assert.False(await UpdateAsync(table, Entry(1, SiloStatus.Active, Now), start));
        Assert.False(await UpdateAsync(table, Entry(3, SiloStatus.Active, Now), joined.Version));

        var unchanged = await table.ReadAllAsync();
        Assert.Equal(joined.Version, unchanged.Version);
        Assert.Equal(SiloStatus.Joining, Assert.Single(unchanged.Members).Item1.Status);
        var unknown = await table.ReadRowAsync(Entry(3, SiloStatus.Active, Now).SiloAddress);
        Assert.Equal((0, joined.Version), (unknown.Members.Count, unknown.Version));
    }

    [Fact]
    public async Task Membership_Update_KeepsWhatTheSiloIsAndItsHeartbeat()
    {
        var table = await OwnTableAsync("rows");
        var silo = Entry(1, SiloStatus.Joining, Now);
        await table.InsertRowAsync(silo, (await table.ReadAllAsync()).Version.Next());
        var heartbeat = Now.AddSeconds(10);
        await table.UpdateIAmAliveAsync(new MembershipEntry { SiloAddress = silo.SiloAddress, IAmAliveTime = heartbeat });
        var suspected = Entry(1, SiloStatus.Active, Now);
        suspected.AddSuspector(Entry(2, SiloStatus.Active, Now).SiloAddress, Now);

        Assert.True(await UpdateAsync(table, suspected, (await table.ReadAllAsync()).Version));

        var row = Assert.Single((await table.ReadAllAsync()).Members).Item1;
        Assert.Equal(
            (SiloStatus.Active, silo.SiloName, silo.HostName, silo.ProxyPort, silo.StartTime, heartbeat),
            (row.Status, row.SiloName, row.HostName, row.ProxyPort, row.StartTime, row.IAmAliveTime));
        Assert.Equal(suspected.SuspectTimes, row.SuspectTimes);
    }

    [Fact]
    public async Task Membership_Cleaning_TakesTheLongDeadOnly()
    {
        var table = await OwnTableAsync("defunct");
        var longAgo = Now.AddHours(-7);
        MembershipEntry[] entries =
        [
            Entry(1, SiloStatus.Dead, longAgo), Entry(2, SiloStatus.Dead, Now), Entry(3, SiloStatus.Active, longAgo), Entry(4, SiloStatus.Joining, longAgo),
        ];
        foreach (var entry in entries)
        {
            Assert.True(await table.InsertRowAsync(entry, (await table.ReadAllAsync()).Version.Next()));
        }

        await table.CleanupDefunctSiloEntriesAsync(Now.AddHours(-6));
        var left = await table.ReadAllAsync();
        await table.DeleteMembershipTableEntriesAsync("defunct");

        Assert.Equal([2, 3, 4], left.Members.Select(member => member.Item1.SiloAddress.Generation).Order());
        Assert.Equal(0, await cluster.CountAsync("orleans_silos", "cluster_id = 'defunct'"));
    }

    [Fact]
    public async Task Reminder_WrittenAgain_HasOneRowAndOnlyItsNewETagDeletesIt()
    {
        var table = cluster.First.Services.GetRequiredService<IReminderTable>();
        // Longer than the 150 characters of the stock table; and a period beyond 32 bits of milliseconds.
        var grain = GrainId.Create("chargeback", new string('k', 1000));
        var first = await table.UpsertRow(Reminder(grain, "close", TimeSpan.FromMinutes(5)));
        var second = await table.UpsertRow(Reminder(grain, "close", TimeSpan.FromDays(31)));
        await table.UpsertRow(Reminder(grain, "other", TimeSpan.FromMinutes(5)));

        var read = (await table.ReadRow(grain, "close"))!;
        var ofGrain = (await table.ReadRows(grain)).Reminders;

        Assert.NotEqual(first, second);
        Assert.Equal(
            (grain, "close", Now.AddDays(1), TimeSpan.FromDays(31), second), (read.GrainId, read.ReminderName, read.StartAt, read.Period, read.ETag));
        Assert.Equal(["close", "other"], ofGrain.Select(reminder => reminder.ReminderName).Order());
        Assert.False(await table.RemoveRow(grain, "close", first!));
        Assert.True(await table.RemoveRow(grain, "close", second!));
        Assert.False(await table.RemoveRow(grain, "close", second!));
        Assert.Null(await table.ReadRow(grain, "close"));
    }

    [Fact]
    public async Task Reminders_ReadByRange_AreThoseOfTheRing()
    {
        var table = cluster.First.Services.GetRequiredService<IReminderTable>();
        var grains = Enumerable.Range(0, 10).Select(number => GrainId.Create("ring", $"{number}")).ToArray();
        foreach (var grain in grains)
        {
            await table.UpsertRow(Reminder(grain, "tick", TimeSpan.FromHours(1)));
        }

        // Around the ends of signed and unsigned numbers, and at the very hashes: the beginning is out, the end is in.
        uint[] bounds = [0, 1, int.MaxValue, int.MaxValue + 1u, uint.MaxValue, .. grains.Take(5).Select(grain => grain.GetUniformHashCode())];
        foreach (var (begin, end) in from begin in bounds from end in bounds select (begin, end))
        {
            var expected = grains.Where(grain => IsInRing(grain.GetUniformHashCode(), begin, end)).Select(grain => grain.ToString());
            var read = (await table.ReadRows(begin, end)).Reminders.Where(r => r.ReminderName == "tick").Select(r => r.GrainId.ToString());
            Assert.Equal(expected.Order(StringComparer.Ordinal), read.Order(StringComparer.Ordinal));
        }

        static bool IsInRing(uint hash, uint begin, uint end) => begin < end ? hash > begin && hash <= end : hash > begin || hash <= end;
    }

    [Theory]
    [InlineData("PostgreSQL")]
    [InlineData("SQLite")]
    public async Task GrainState_IsWrittenReadAndCleared(string engine)
    {
        await using var stores = Open(engine);
        var grain = GrainId.Create("counter", $"{Guid.NewGuid():N} {new string('k', 1000)}");
        var mine = new GrainState<Counter>(new Counter());
        await stores.First.ReadStateAsync("state", grain, mine);
        Assert.Equal((false, null), (mine.RecordExists, mine.ETag));

        mine.State!.Count = 1;
        await stores.First.WriteStateAsync("state", grain, mine);
        mine.State!.Count = 2;
        await stores.First.WriteStateAsync("state", grain, mine);
        var theirs = await ReadAsync(stores.Second, grain);
        Assert.Equal((true, mine.ETag, 2), (theirs.RecordExists, theirs.ETag, theirs.State!.Count));
        Assert.False((await ReadAsync(stores.Second, grain, "another state")).RecordExists);

        await stores.Second.ClearStateAsync("state", grain, theirs);
        var cleared = await ReadAsync(stores.First, grain);
        Assert.Equal((false, 0, theirs.ETag), (cleared.RecordExists, cleared.State!.Count, cleared.ETag));
        cleared.State!.Count = 3;
        await stores.First.WriteStateAsync("state", grain, cleared);

        Assert.Equal(3, (await ReadAsync(stores.Second, grain)).State!.Count);
        Assert.Equal(1, await stores.CountRowsAsync(grain));
    }

    [Theory]
    [InlineData("PostgreSQL")]
    [InlineData("SQLite")]
    public async Task GrainState_WithAStaleETag_IsAConflict(string engine)
    {
        await using var stores = Open(engine);
        var grain = GrainId.Create("counter", $"{Guid.NewGuid():N} s");
        await stores.First.WriteStateAsync("state", grain, new GrainState<Counter>(new Counter { Count = 1 }));
        var (winner, stale) = (await ReadAsync(stores.First, grain), await ReadAsync(stores.Second, grain));
        winner.State!.Count = 2;
        await stores.First.WriteStateAsync("state", grain, winner);

        stale.State!.Count = 99;
        await Assert.ThrowsAsync<InconsistentStateException>(() => stores.Second.WriteStateAsync("state", grain, stale));
        await Assert.ThrowsAsync<InconsistentStateException>(() => stores.Second.ClearStateAsync("state", grain, stale));
        await stores.First.ClearStateAsync("state", grain, winner);
        await Assert.ThrowsAsync<InconsistentStateException>(() => stores.Second.WriteStateAsync("state", grain, stale));
        // A clearing is no blank sheet for one that never read.
        await Assert.ThrowsAsync<InconsistentStateException>(
            () => stores.Second.WriteStateAsync("state", grain, new GrainState<Counter>(new Counter { Count = 99 })));

        Assert.False((await ReadAsync(stores.First, grain)).RecordExists);
    }

    [Theory]
    [InlineData("PostgreSQL")]
    [InlineData("SQLite")]
    public async Task GrainState_FirstWrittenTwiceAtOnce_HasOneWinnerAndOneRow(string engine)
    {
        await using var stores = Open(engine);
        for (var round = 0; round < 25; round++)
        {
            var grain = GrainId.Create("counter", $"{Guid.NewGuid():N} f");

            var outcomes = await Task.WhenAll(TryAsync(stores.First, grain, 1), TryAsync(stores.Second, grain, 2));

            Assert.Single(outcomes, written => written != 0);
            Assert.Equal(1, await stores.CountRowsAsync(grain));
            Assert.Equal(outcomes.Sum(), (await ReadAsync(stores.First, grain)).State!.Count);
        }

        static async Task<int> TryAsync(IGrainStorage storage, GrainId grain, int count)
        {
            try
            {
                await Task.Run(() => storage.WriteStateAsync("state", grain, new GrainState<Counter>(new Counter { Count = count })));
                return count;
            }
            catch (InconsistentStateException)
            {
                return 0;
            }
        }
    }

    [Fact]
    public async Task GrainState_OfAStorageThatDeletes_IsGoneWhenCleared()
    {
        await using var stores = GrainStores.OnPostgres(cluster, ClusterNode.DeletingStorage);
        var grain = GrainId.Create("counter", $"{Guid.NewGuid():N} d");
        await stores.First.WriteStateAsync("state", grain, new GrainState<Counter>(new Counter { Count = 1 }));
        var (state, stale) = (await ReadAsync(stores.First, grain), await ReadAsync(stores.Second, grain));
        await stores.First.WriteStateAsync("state", grain, state);

        await Assert.ThrowsAsync<InconsistentStateException>(() => stores.Second.ClearStateAsync("state", grain, stale));
        await stores.First.ClearStateAsync("state", grain, state);

        Assert.Equal((false, null), (state.RecordExists, state.ETag));
        Assert.Equal(0, await stores.CountRowsAsync(grain));
    }

    private GrainStores Open(string engine) => engine == "SQLite" ? GrainStores.OnSqlite() : GrainStores.OnPostgres(cluster);

    private static async Task<GrainState<Counter>> ReadAsync(IGrainStorage storage, GrainId grain, string name = "state")
    {
        var state = new GrainState<Counter>();
        await storage.ReadStateAsync(name, grain, state);
        return state;
    }

    /// <summary>The provider's membership table of a cluster without silos.</summary>
    private async Task<AdoNetClusteringTable> OwnTableAsync(string clusterId)
    {
        var options = cluster.First.Services.GetRequiredService<IOptions<AdoNetClusteringSiloOptions>>();
        var table = new AdoNetClusteringTable(
            cluster.First.Services, Options.Create(new ClusterOptions { ClusterId = clusterId }), options, NullLogger<AdoNetClusteringTable>.Instance);
        await table.InitializeMembershipTableAsync(tryInitTableVersion: true);
        return table;
    }

    /// <summary>The provider's row tag is the table's version.</summary>
    private static Task<bool> UpdateAsync(AdoNetClusteringTable table, MembershipEntry entry, TableVersion read) =>
        table.UpdateRowAsync(entry, read.VersionEtag, read.Next());

    private static MembershipEntry Entry(int generation, SiloStatus status, DateTime alive) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Loopback, 11111, generation),
        SiloName = $"silo {generation}",
        HostName = "host",
        Status = status,
        ProxyPort = 30000,
        StartTime = alive,
        IAmAliveTime = alive,
    };

    private static ReminderEntry Reminder(GrainId grain, string name, TimeSpan period) =>
        new() { GrainId = grain, ReminderName = name, StartAt = Now.AddDays(1), Period = period };

    private static Task UntilAsync(string what, Func<Task<bool>> holds) => Await.TrueAsync(holds, what);
}

/// <summary>What the grains of these tests would keep.</summary>
[GenerateSerializer]
public sealed class Counter
{
    [Id(0)]
    public int Count { get; set; }
}
