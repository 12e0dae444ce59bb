using Dvara.Server.Hosting;
using Xunit;

namespace Dvara.UnitTests.Hosting;

public sealed class SecretFileTests : IDisposable
{
    private const string Secret = "0123456789abcdef0123456789abcdef";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dvara-secret-");

    private string Place => Path.Combine(_folder.FullName, "master-key");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Secret_IsMadeOnce_AndOnlyItsOwnerReadsIt()
    {
        Assert.Equal(Secret, SecretFile.ReadOrMake(Place, () => Secret));

        Assert.Equal(Secret, SecretFile.ReadOrMake(Place, () => throw new InvalidOperationException("Made twice.")));
        Assert.Equal([Place], Directory.GetFiles(_folder.FullName));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Place));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    [InlineData("0123456789abcdef0123456789abcde")]
    public void FileThatWasCutShort_IsRefused_ByItsName(string content)
    {
        File.WriteAllText(Place, content);

        var message = Assert.Throws<SettingsException>(() => MasterKey.Load(given: null, Place)).Message;

        Assert.Contains($"{Place} has {content.Trim().Length} characters. It must have at least 32", message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(Place));
    }

    [Fact]
    public void FileThatWasNotFinished_IsMadeAnew()
    {
        File.WriteAllText(Place + ".new", "0123");

        Assert.Equal(Secret, SecretFile.ReadOrMake(Place, () => Secret));
    }
}
