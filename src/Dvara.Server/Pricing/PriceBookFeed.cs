using Dvara.Domain.Pricing;
using Dvara.Server.Pricing.Builtin;
using Dvara.Server.Storage;

namespace Dvara.Server.Pricing;

/// <summary>
/// Fills the price book before the first request can come, and again whenever the change feed tells of prices. Fails closed at start:
/// without prices every call would be unpriced.
/// </summary>
internal sealed class PriceBookFeed : IHostedService, IDisposable
{
    private readonly PriceStore _store;
    private readonly PriceBookState _state;
    private readonly BuiltinPrices _builtin;

    // One at a time, or a slow read could put an older book over a newer one.
    private readonly SemaphoreSlim _filling = new(1);

    public PriceBookFeed(PriceStore store, PriceBookState state, BuiltinPrices builtin, ChangeFeed changeFeed)
    {
        _store = store;
        _state = state;
        _builtin = builtin;
        changeFeed.Subscribe(PriceChanges.Topic, (_, cancellationToken) => FillAsync(cancellationToken));
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _builtin.ApplyAsync(BuiltinPriceList.Load(), cancellationToken);
        await FillAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _filling.Dispose();

    private async Task FillAsync(CancellationToken cancellationToken)
    {
        await _filling.WaitAsync(cancellationToken);
        try
        {
            _state.Replace(new PriceBook(await _store.AllAsync(cancellationToken)));
        }
        finally
        {
            _filling.Release();
        }
    }
}
