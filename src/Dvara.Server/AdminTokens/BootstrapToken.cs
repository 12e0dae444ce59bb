using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;

namespace Dvara.Server.AdminTokens;

/// <summary>
/// Gives a new installation its first owner token before the first request can come: the fixed one of the settings, or one made here,
/// written to the data folder (mode 0600) and shown once.
/// </summary>
internal sealed class BootstrapToken(
    AdminTokenStore store, DvaraSettings settings, DataDirectory directory, StartUp startUp, TimeProvider clock) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var token = NewOwner();
        var created = AuditEvent.BySystem(clock, AuditTypes.AdminTokenCreated, null, new { id = token.Id, token.Name, role = "owner" });
        if (settings.AdminToken is { } given)
        {
            if (!await store.FixBootstrapAsync(token, AdminToken.Hash(given), created, cancellationToken))
            {
                throw new SettingsException([
                    "DVARA_ADMIN_TOKEN is not the bootstrap token that this cluster was begun with. Give every silo the same, or none. To change it, make "
                    + "another owner's token (POST /v1/admin/tokens), delete the one named bootstrap with it, and start the silos with the new one."]);
            }

            return;
        }

        if (await store.AnyAsync(cancellationToken))
        {
            return;
        }

        // File before row: after a crash in between the next start finds the file and uses it. The other way round the
        // installation would have an owner whose token nobody knows.
        var secret = SecretFile.ReadOrMake(directory.AdminTokenFile, AdminToken.MakeSecret);
        if (await store.InsertFirstAsync(token, AdminToken.Hash(secret), created, cancellationToken))
        {
            startUp.NewAdminToken = secret;
        }
        else
        {
            File.Delete(directory.AdminTokenFile);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private AdminToken NewOwner()
    {
        var now = clock.GetUtcNow();
        return new()
        {
            Id = new AdminTokenId(Uuid7.At(now)),
            Name = "bootstrap",
            Role = AdminRole.Owner,
            Scopes = AdminRole.Owner.Scopes(),
            CreatedAt = now,
        };
    }
}
