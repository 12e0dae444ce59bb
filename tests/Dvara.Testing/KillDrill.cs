using System.Globalization;
using System.Net.Http.Headers;

namespace Dvara.Testing;

/// <summary>What a drill saw; every list but the counts must be empty.</summary>
public sealed record KillReport(int Kills, int Calls, int Answered, int UpstreamCalls, int Charges, int WithoutUpstream, int OpenAtKills, IReadOnlyList<string> Violations)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Kills} kills, {Calls} calls, {Answered} answered, {UpstreamCalls} upstream, {Charges} charges, {WithoutUpstream} without an upstream call of at most {OpenAtKills}");
}

/// <summary>Kills a real gateway under load, again and again on one data folder, and then holds its ledger against the upstream's own log.</summary>
public sealed class KillDrill(int kills, int seed) : IDisposable
{
    private const int Workers = 12;

    private readonly Random _random = new(seed);
    private readonly DrillLoad _load = new(seed);
    private readonly string _data = Directory.CreateTempSubdirectory("dvara-kill-").FullName;
    private int _openAtKills;

    public async Task<KillReport> RunAsync()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = _load.AnswerAsync;
        var (tenant, key) = await PrepareAsync(upstream);
        for (var kill = 0; kill < kills; kill++)
        {
            await KillUnderLoadAsync(upstream, key);
        }

        return await CompareAsync(upstream, tenant);
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    private async Task<(string Tenant, string Key)> PrepareAsync(FakeUpstream upstream)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        return await DrillLoad.NewKeyAsync(gateway.Admin);
    }

    private async Task KillUnderLoadAsync(FakeUpstream upstream, string key)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        using var client = new HttpClient { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var stop = new CancellationTokenSource();
        var moment = TimeSpan.FromMilliseconds(_random.Next(20, 700));
        var running = _load.NextAnswerAsync();
        var workers = Enumerable.Range(0, Workers).Select(worker => _load.CallUntilAsync(worker, client, stop.Token)).ToList();

        // One kill in four may come before anything is answered; the others come when the load runs, however slow the machine is.
        if (_random.Next(4) > 0)
        {
            await running.WaitAsync(TimeSpan.FromMinutes(1));
        }

        // The random moment is the test: nothing is waited for.
        using var timer = new PeriodicTimer(moment);
        await timer.WaitForNextTickAsync();
        // Each worker has at most one call open; the kill itself is not an instant.
        _openAtKills += Workers;
        await gateway.KillAsync();
        await stop.CancelAsync();
        await Task.WhenAll(workers);
    }

    private async Task<KillReport> CompareAsync(FakeUpstream upstream, string tenant)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        var lines = await DrillLoad.ReadLinesAsync(gateway.Admin, tenant);
        var (withoutUpstream, violations) = _load.Compare(lines, _openAtKills);

        // A drill in which answers fail for another reason than the kills proves little.
        if (_load.Answered < _load.Calls - _openAtKills)
        {
            violations.Add($"{_load.Calls - _load.Answered} calls were not answered, more than the {_openAtKills} open at the kills");
        }

        return new(kills, _load.Calls, _load.Answered, _load.UpstreamCalls, lines.Count, withoutUpstream, _openAtKills, violations);
    }
}
