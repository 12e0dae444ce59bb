using System.Text;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Dvara.UnitTests.Hosting;

public sealed class SettingNamesTests
{
    private const string Name = "Dvara:Gateway:IdleSeconds";

    private static ConfigurationManager Json(string json)
    {
        var configuration = new ConfigurationManager();
        configuration.AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json)));
        return configuration;
    }

    private static List<string> Unify(ConfigurationManager configuration)
    {
        var problems = new List<string>();
        SettingNames.Unify(configuration, problems);
        return problems;
    }

    [Theory]
    [InlineData("""{"dvara.llm-gateway.gateway.idle-seconds":"45"}""")]
    [InlineData("""{"dvara":{"llm-gateway":{"gateway":{"idle-seconds":"45"}}}}""")]
    [InlineData("""{"dvara.llm-gateway":{"gateway.idle-seconds":"45"}}""")]
    [InlineData("""{"Dvara":{"Gateway":{"IdleSeconds":"45"}}}""")]
    [InlineData("""{"DVARA_LLM_GATEWAY_GATEWAY_IDLE_SECONDS":"45"}""")]
    public void Setting_InAnySpelling_IsTheSameSetting(string json)
    {
        var configuration = Json(json);

        Assert.Empty(Unify(configuration));

        Assert.Equal("45", configuration[Name]);
    }

    [Fact]
    public void Setting_OnTheCommandLine_IsRead()
    {
        var configuration = new ConfigurationManager();
        configuration.AddCommandLine(["--dvara.llm-gateway.gateway.idle-seconds=45", "--dvara.llm-gateway.hosting.stop-seconds", "5"]);

        Assert.Empty(Unify(configuration));

        Assert.Equal("45", configuration[Name]);
        Assert.Equal("5", configuration["Dvara:Hosting:StopSeconds"]);
    }

    [Fact]
    public void Setting_OfALaterSource_Wins_WhateverItsSpelling()
    {
        var configuration = Json("""{"dvara.llm-gateway.gateway.idle-seconds":"45"}""");
        configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["DVARA_LLM_GATEWAY_GATEWAY_IDLE_SECONDS"] = "60" });

        Unify(configuration);

        Assert.Equal("60", configuration[Name]);
    }

    [Fact]
    public void Provider_OfTheOperatorsChoice_KeepsItsName()
    {
        var configuration = Json("""{"dvara.llm-gateway.providers.local-llm.base-url":"http://llm:8000/v1"}""");

        Assert.Empty(Unify(configuration));

        Assert.Equal("http://llm:8000/v1", configuration["Dvara:Providers:local-llm:BaseUrl"]);
    }

    [Theory]
    [InlineData("dvara.llm-gateway.gateway.idle-second")]
    [InlineData("dvara:llm-gateway:foo")]
    [InlineData("DVARA_LLM_GATEWAY_GATEWAY_IDLE")]
    public void Setting_ThatDoesNotExist_IsAProblemThatListsTheKnownOnes(string name)
    {
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection(new Dictionary<string, string?> { [name] = "x" });

        var problem = Assert.Single(Unify(configuration));

        Assert.Contains(name.Replace(':', '.'), problem, StringComparison.Ordinal);
        Assert.Contains("dvara.llm-gateway.gateway.idle-seconds", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Setting_MisspeltInTheEnvironment_IsAProblem()
    {
        // As the provider of environment variables hands it over: the underscores are colons by then.
        var configuration = new ConfigurationManager { ["Dvara:Gateway:IdelSeconds"] = "45" };

        var problem = Assert.Single(Unify(configuration));

        Assert.StartsWith("Dvara:Gateway:IdelSeconds is not a setting. The settings are Dvara:Budgets:RefusalStatus,", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DVARA_ADMIN_TOEKN", "DVARA_ADMIN_TOKEN")]
    [InlineData("DVARA_SILOPORT", "DVARA_SILO_PORT")]
    [InlineData("dvara_data_dirs", "DVARA_DATA_DIR")]
    public void Setting_WithoutStructure_ThatIsMisspelt_IsAProblem(string name, string meant)
    {
        var problem = Assert.Single(Unify(new ConfigurationManager { [name] = "x" }));

        Assert.Equal($"{name} is not a setting. {meant} is.", problem);
    }

    [Theory]
    [InlineData("DVARA_ADMIN_TOKEN")]
    [InlineData("DVARA_PORT")]
    [InlineData("DVARA_PORT_8080_TCP")]
    [InlineData("DVARA_SERVICE_HOST")]
    [InlineData("DVARA_SERVICE_PORT")]
    public void Name_ThatIsOneOfOurs_OrThePlatforms_IsNoProblem(string name) => Assert.Empty(Unify(new ConfigurationManager { [name] = "x" }));

    [Fact]
    public void Setting_OfTheJournal_IsKnown()
    {
        var names = typeof(JournalOptions).GetProperties().Select(property => $"{JournalOptions.Section}:{property.Name}").ToList();
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection(names.ToDictionary(name => name, string? (_) => "1"));

        Assert.Empty(Unify(configuration));
        Assert.NotEmpty(names);
    }

    [Fact]
    public void Provider_WithAnImpossibleName_IsOneProblem()
    {
        var configuration = new ConfigurationManager { ["Dvara:Providers:my_llm:BaseUrl"] = "http://llm:8000/v1" };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains("Dvara:Providers:my_llm: a provider id has", message, StringComparison.Ordinal);
        Assert.DoesNotContain("is not a setting", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Url_ThatIsNone_IsAProblem()
    {
        var configuration = new ConfigurationManager { ["ASPNETCORE_URLS"] = "localhost:8080" };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains("ASPNETCORE_URLS has localhost:8080. It must be a list of addresses", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://localhost:8080;http://localhost:9000")]
    [InlineData("http://localhost:8080,http://localhost:9000")]
    public void Provider_ThatIsThisServer_IsRefused(string urls)
    {
        var configuration = new ConfigurationManager { ["ASPNETCORE_URLS"] = urls, ["OPENAI_BASE_URL"] = "http://127.0.0.1:9000/v1" };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains("OPENAI_BASE_URL reaches this very server", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_WithSeveralMistakes_AreRefusedAtOnce()
    {
        var configuration = new ConfigurationManager();
        configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DVARA_MASTER_KEY"] = "short",
            ["DVARA_ADMIN_TOKEN"] = "changeme-changeme-0123",
            ["DVARA_SILO_PORT"] = "70000",
            ["DVARA_CLOCK_START"] = "2026-04-01",
            ["DVARA_POSTGRES"] = "Host=db",
            ["DVARA_ROLE"] = "gatway",
            ["DVARA_ADVERTISED_IP"] = "0.0.0.0",
            ["DVARA_GATEWAY_PORT"] = "-1",
            ["DVARA_ADMIN_URLS"] = "http://localhost:8080",
            ["DVARA_TLS_CERT"] = "/nowhere/cert.pem",
            ["DVARA_TRUSTED_PROXIES"] = "10.0.0.0/8,nonsense",
            ["ASPNETCORE_URLS"] = "https://localhost:8443;ftp://x",
            ["Dvara:Gateway:IdleSeconds"] = "soon",
            ["Dvara:Journal:QueueMax"] = "many",
            ["Dvara:Journal:FileBytesMax"] = "1000",
            ["Dvara:Journal:Retention"] = "-00:00:01",
            ["Dvara:Journal:Gather"] = "00:00:02",
            ["Dvara:Hosting:StopSeconds"] = "-1",
            ["dvara.llm-gateway.foo"] = "x",
        });

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.All(
            (string[])["DVARA_MASTER_KEY", "DVARA_ADMIN_TOKEN is a placeholder", "DVARA_SILO_PORT is 70000", "DVARA_CLOCK_START", "DVARA_POSTGRES",
                "DVARA_ROLE is gatway", "DVARA_ADVERTISED_IP is 0.0.0.0", "DVARA_GATEWAY_PORT is -1", "DVARA_ADMIN_URLS must name ports", "DVARA_TLS_CERT and DVARA_TLS_KEY belong together", "nonsense",
                "https://localhost:8443", "ftp://x", "IdleSeconds is soon", "QueueMax is many", "FileBytesMax is 1000", "Retention is -00:00:01", "Gather is 00:00:02", "StopSeconds is -1", "dvara.llm-gateway.foo is not a setting"],
            problem => Assert.Contains(problem, message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("DVARA_ROLE", "gateway")]
    [InlineData("DVARA_ROLE", "silo")]
    [InlineData("DVARA_ADVERTISED_IP", "10.0.0.5")]
    [InlineData("DVARA_GATEWAY_PORT", "30000")]
    public void Settings_OfACluster_WithoutADatabaseForIt_AreRefused(string name, string value)
    {
        var configuration = new ConfigurationManager { [name] = value };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains($"{name} is {value}. It is for a cluster and needs DVARA_POSTGRES", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Role_Both_IsThatOfANodeAlone()
    {
        var settings = DvaraSettings.Read(new ConfigurationManager { ["DVARA_ROLE"] = "both" });

        Assert.Equal((NodeRole.Both, null, 0), (settings.Role, settings.AdvertisedIp, settings.GatewayPort));
    }

    [Fact]
    public void DataFolder_ThatIsEmpty_IsTheDefault() =>
        Assert.Equal("./data", DvaraSettings.Read(new ConfigurationManager { ["DVARA_DATA_DIR"] = "" }).DataDirectory);

    [Theory]
    [InlineData("1969-12-31T23:59:59Z")]
    [InlineData("1970-01-01T00:30:00+01:00")]
    public void Clock_BeforeIdsBegin_IsRefused(string start)
    {
        var configuration = new ConfigurationManager { ["DVARA_CLOCK_START"] = start };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains($"DVARA_CLOCK_START is {start}. It must not be before 1970", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Journal_AsSet_IsRead()
    {
        var journal = DvaraSettings.Read(new ConfigurationManager { ["Dvara:Journal:FileBytesMax"] = "2097152", ["Dvara:Journal:Gather"] = "00:00:00.5" }).Journal;

        Assert.Equal((2L << 20, TimeSpan.FromMilliseconds(500), 65_536), (journal.FileBytesMax, journal.Gather, journal.QueueMax));
    }

    [Theory]
    [InlineData("::")]
    [InlineData("10.1")]
    [InlineData("010.0.0.1")]
    [InlineData("node-1")]
    public void AdvertisedIp_ThatIsNoAddressOfANode_IsRefused(string text)
    {
        var configuration = new ConfigurationManager { ["DVARA_ADVERTISED_IP"] = text };

        var message = Assert.Throws<SettingsException>(() => DvaraSettings.Read(configuration)).Message;

        Assert.Contains($"DVARA_ADVERTISED_IP is {text}. It must be the one IP address", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Urls_AreTakenFromAnySource()
    {
        var configuration = new ConfigurationManager();
        configuration.AddCommandLine(["--ASPNETCORE_URLS=http://0.0.0.0:9000"]);

        Assert.Equal(["http://0.0.0.0:9000"], DvaraSettings.Read(configuration).Listeners.Urls);
        Assert.Equal(["http://localhost:8080"], DvaraSettings.Read(new ConfigurationManager()).Listeners.Urls);
    }
}
