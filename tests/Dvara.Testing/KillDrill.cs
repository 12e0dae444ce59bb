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
    private readonly List<string> _violations = [];
    private int _openAtKills;

    // Where the run began that the last kill ended, and what there was before it.
    private string? _since;
    private int _unanswered;

    public async Task<KillReport> RunAsync()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = _load.AnswerAsync;
        var (tenant, key) = await PrepareAsync(upstream);
        for (var kill = 0; kill < kills; kill++)
        {
            await KillUnderLoadAsync(upstream, tenant, key);
        }

        return await CompareAsync(upstream, tenant);
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    private async Task<(string Tenant, string Key)> PrepareAsync(FakeUpstream upstream)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        return await DrillLoad.NewKeyAsync(gateway.Admin);
    }

    private async Task KillUnderLoadAsync(FakeUpstream upstream, string tenant, string key)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        await CheckLastKillAsync(gateway, tenant);
        using var client = new HttpClient { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var stop = new CancellationTokenSource();
        var moment = TimeSpan.FromMilliseconds(_random.Next(20, 700));
        var running = _load.NextAnswerAsync();
        _since = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        _unanswered = _load.Calls - _load.Answered;
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

    /// <summary>What one kill leaves behind, before the next: no more calls than there are workers, so that no surplus hides behind other kills.</summary>
    private async Task CheckLastKillAsync(GatewayProcess gateway, string tenant)
    {
        if (_since is null)
        {
            return;
        }

        var unanswered = _load.Calls - _load.Answered - _unanswered;
        var withoutUpstream = _load.WithoutUpstream(await DrillLoad.ReadLinesAsync(gateway.Admin, tenant, _since));
        if (unanswered > Workers || withoutUpstream > Workers)
        {
            _violations.Add($"the run from {_since} on left {unanswered} calls without an answer and {withoutUpstream} charges without an upstream call; {Workers} calls were open at its kill");
        }
    }

    private async Task<KillReport> CompareAsync(FakeUpstream upstream, string tenant)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        await CheckLastKillAsync(gateway, tenant);
        var lines = await DrillLoad.ReadLinesAsync(gateway.Admin, tenant);
        var (withoutUpstream, violations) = _load.Compare(lines, _openAtKills);
        return new(kills, _load.Calls, _load.Answered, _load.UpstreamCalls, lines.Count, withoutUpstream, _openAtKills, [.. _violations, .. violations]);
    }
}
