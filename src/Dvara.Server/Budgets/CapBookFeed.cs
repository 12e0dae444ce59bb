using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>Fills the book of caps before the first request can come, and again whenever the change feed tells of one.</summary>
internal sealed class CapBookFeed : IHostedService, IDisposable
{
    private readonly Database _database;
    private readonly CapBookState _state;
    private readonly CapLeases _leases;

    // One at a time, or a slow read could put an older book over a newer one.
    private readonly SemaphoreSlim _filling = new(1);

    public CapBookFeed(Database database, CapBookState state, CapLeases leases, ChangeFeed changeFeed)
    {
        (_database, _state, _leases) = (database, state, leases);
        changeFeed.Subscribe(CapStore.ChangeTopic, (_, cancellationToken) => FillAsync(cancellationToken));
    }

    public Task StartAsync(CancellationToken cancellationToken) => FillAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _filling.Dispose();

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        await _filling.WaitAsync(cancellationToken);
        try
        {
            var book = await _database.LookUpAsync(connection => CapStore.ReadBookAsync(connection), cancellationToken);
            _state.Replace(book);
            _leases.Renew(book);
        }
        finally
        {
            _filling.Release();
        }
    }
}
