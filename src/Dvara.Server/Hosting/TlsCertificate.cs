using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Dvara.Server.Hosting;

/// <summary>
/// The certificate of HTTPS, read again when its files change, so that a renewal needs no restart. New files that cannot be used are
/// logged and the last good certificate stays.
/// </summary>
internal sealed partial class TlsCertificate
{
    // A handshake asks the file system at most this often.
    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    private readonly string _certificateFile;
    private readonly string _keyFile;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private long _checkedAt;
    private DateTime _stamp;
    private DateTime _complainedOf;
    private SslStreamCertificateContext _current;

    /// <exception cref="CryptographicException">The files hold no certificate and key that belong together.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public TlsCertificate(string certificateFile, string keyFile, ILogger<TlsCertificate> logger)
    {
        (_certificateFile, _keyFile, _logger) = (certificateFile, keyFile, logger);
        _stamp = Stamp();
        _checkedAt = TimeProvider.System.GetTimestamp();
        _current = Load(certificateFile, keyFile);
    }

    public SslStreamCertificateContext Current
    {
        get
        {
            lock (_gate)
            {
                if (TimeProvider.System.GetElapsedTime(_checkedAt) >= CheckInterval)
                {
                    _checkedAt = TimeProvider.System.GetTimestamp();
                    Reload_NeedsLock();
                }

                return _current;
            }
        }
    }

    /// <returns>Why the files cannot be used, or null.</returns>
    public static string? Problem(string certificateFile, string keyFile)
    {
        try
        {
            Load(certificateFile, keyFile).TargetCertificate.Dispose();
            return null;
        }
        catch (Exception exception) when (IsUnusable(exception))
        {
            return exception.Message;
        }
    }

    private static bool IsUnusable(Exception exception) =>
        exception is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException;

    private static SslStreamCertificateContext Load(string certificateFile, string keyFile)
    {
        var leaf = X509Certificate2.CreateFromPemFile(certificateFile, keyFile);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(certificateFile);
        return SslStreamCertificateContext.Create(leaf, chain, offline: true);
    }

    private DateTime Stamp()
    {
        var (certificate, key) = (File.GetLastWriteTimeUtc(_certificateFile), File.GetLastWriteTimeUtc(_keyFile));
        return certificate > key ? certificate : key;
    }

    private void Reload_NeedsLock()
    {
        var stamp = Stamp();
        if (stamp == _stamp)
        {
            return;
        }

        try
        {
            _current = Load(_certificateFile, _keyFile);
            _stamp = stamp;
            LogReloaded(_logger, _certificateFile, _current.TargetCertificate.NotAfter);
        }
        catch (Exception exception) when (IsUnusable(exception))
        {
            // Tried again all the same: a key may have been put beside its certificate with an older time.
            if (_complainedOf != stamp)
            {
                LogUnusable(_logger, _certificateFile, exception);
                _complainedOf = stamp;
            }
        }
    }

    [LoggerMessage(1, LogLevel.Information, "The certificate in {File} was read again; it is good until {NotAfter:O}.")]
    private static partial void LogReloaded(ILogger logger, string file, DateTime notAfter);

    [LoggerMessage(2, LogLevel.Error, "The certificate in {File} has changed and cannot be used; the one before it stays.")]
    private static partial void LogUnusable(ILogger logger, string file, Exception exception);
}
