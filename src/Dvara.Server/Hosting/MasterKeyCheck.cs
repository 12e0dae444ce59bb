using System.Security.Cryptography;
using Dapper;
using Dvara.Server.Storage;

namespace Dvara.Server.Hosting;

/// <summary>
/// All that ever start on one ledger must have one master key: cursors of one silo are read by another, and what was encrypted with a lost
/// key is lost. The first start stores the key's fingerprint; a start with another key is refused.
/// </summary>
internal sealed class MasterKeyCheck(Database database, MasterKey key) : IHostedService
{
    private const string Store = """
        INSERT INTO installation (name, value) VALUES ('master_key_fingerprint', @fingerprint) ON CONFLICT (name) DO NOTHING
        """;

    private const string Read = "SELECT value FROM installation WHERE name = 'master_key_fingerprint'";

    /// <exception cref="SettingsException">The ledger was begun with another key.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var fingerprint = Convert.ToHexStringLower(SHA256.HashData(key.Derive("fingerprint")));
        var known = await database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                await transaction.Connection!.ExecuteAsync(Store, new { fingerprint }, transaction);
                return await transaction.Connection!.QuerySingleAsync<string>(Read, transaction: transaction);
            },
            cancellationToken);
        if (known != fingerprint)
        {
            throw new SettingsException(
                ["DVARA_MASTER_KEY is not the key that this ledger was begun with. Give every silo that key; what it encrypted can be read with no other."]);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
