using Dvara.Providers;

namespace Dvara.Server.Gateway;

/// <summary>Loads the tokenizer once the node listens: the start does not wait for it, and no request does later.</summary>
internal sealed class TokenizerWarmUp : IHostedLifecycleService
{
    private Task _warming = Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        _warming = Task.Run(TokenCounter.Warm, CancellationToken.None);
        return Task.CompletedTask;
    }

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => _warming.WaitAsync(cancellationToken);

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
