using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dvara.Server.Hosting;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Walk;

/// <summary>The README as a new user follows it: a fresh copy of the sources, its commands one after another, its snippets of code.</summary>
public sealed partial class ReadmeTests : IDisposable
{
    /// <summary>Commands of the README that the walk does not run, and who does, or why nobody.</summary>
    private static readonly Dictionary<string, string> Elsewhere = new(StringComparer.Ordinal)
    {
        ["deploy/local-cluster.sh"] = "Cluster/LocalClusterTests runs it",
        ["docker compose -f deploy/compose/compose.yaml up --build"] = "nobody: there is no container engine where the tests run",
        [Benchmarks] = "Benchmarks_Run, in its short form",
        ["tests/run.sh"] = "it is what runs this test",
    };

    private const string Benchmarks = "dotnet run -c Release --project tests/Dvara.Benchmarks";

    private static readonly string Readme = File.ReadAllText(Path.Combine(Repository.Root, "README.md"));

    private readonly string _copy = Directory.CreateTempSubdirectory("dvara-readme-").FullName;

    public void Dispose() => Directory.Delete(_copy, recursive: true);

    [Fact]
    public async Task Commands_RunInAFreshCopy_AndTellWhatTheCallCost()
    {
        await CopySourcesAsync();
        var (start, rest) = (Blocks("bash")[0], Blocks("bash")[1..]);
        var port = Ports.Free();
        string Here(string commands) => commands.Replace("localhost:8080", $"localhost:{port}", StringComparison.Ordinal);

        var script = $$"""
            set -euo pipefail
            export ASPNETCORE_URLS=http://localhost:{{port}} DVARA_SILO_PORT=0 DVARA_ACCEPT_LOSS=1
            # A group of its own, so that the build's and the server's processes can be ended together.
            set -m
            {{start.Trim()}} >server.log 2>&1 &
            server=$!
            trap 'kill -TERM -- -$server; wait $server || true' EXIT
            for _ in $(seq 1 1800); do
              curl -fs localhost:{{port}}/readyz >/dev/null 2>&1 && break
              kill -0 $server || { cat server.log; exit 1; }
              read -rt 0.1 <> <(:) || true
            done
            {{Here(string.Join("\n", rest))}}
            curl -fsS -D head.txt localhost:{{port}}/docs -o docs.html
            curl -fsS localhost:{{port}}/openapi.json -o openapi.json
            (cd {{Path.Combine(Repository.Root, "tests", "clients")}} && node --input-type=module -e "$(cat "$OLDPWD/snippet.mjs")" "$KEY")
            curl -fsS "localhost:{{port}}/v1/admin/costs?tenantId=$TENANT" -H "Authorization: Bearer $TOKEN" -o costs.json
            """;
        await File.WriteAllTextAsync(Path.Combine(_copy, "snippet.mjs"), Here($"""
            import OpenAI from "openai";
            const key = process.argv[1];
            {Assert.Single(Blocks("js"))}
            """), TestContext.Current.CancellationToken);
        await Shell.RunAsync(_copy, TimeSpan.FromMinutes(5), "bash", "-c", script);

        var lines = JsonNode.Parse(await ReadAsync("costs.json"))!["items"]!.AsArray();
        Assert.Equal(2, lines.Count);
        Assert.All(lines, line =>
        {
            Assert.Equal("SETTLED", (string?)line!["state"]);
            Assert.Equal("""{"project":"apollo"}""", line["tags"]!.ToJsonString());
            Assert.NotEqual("0", line["totalCostUsd"]!.ToJsonString());
        });
        Assert.StartsWith("%PDF-", await ReadAsync("statement.pdf"), StringComparison.Ordinal);
        Assert.Contains("Acme Ltd,mock,gpt-4o,", await ReadAsync("statement.csv"), StringComparison.Ordinal);
        Assert.Contains("/v1/admin/chargeback", await ReadAsync("openapi.json"), StringComparison.Ordinal);
    }

    [Fact]
    public void Snippets_AreWhatTheClientTestsRun()
    {
        var dotnet = File.ReadAllText(Path.Combine(Repository.Root, "tests/Dvara.FunctionalTests/Clients/OpenAiDotNetTests.cs"));
        var python = File.ReadAllText(Path.Combine(Repository.Root, "tests/clients/python/3.3.1/chat.http"));

        var lines = Assert.Single(Blocks("csharp")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(lines, line => Assert.Contains(line.Replace("\"http://localhost:8080/v1\"", "baseUrl", StringComparison.Ordinal), dotnet, StringComparison.Ordinal));
        var call = Regex.Replace(Assert.Single(Blocks("python")), @"\s", "");
        Assert.Contains("""extra_body={"metadata":{"tags":{"project":"apollo"}}}""", call, StringComparison.Ordinal);
        Assert.Contains(""" "metadata":{"tags":{"project":"apollo"}} """.Trim(), python, StringComparison.Ordinal);
    }

    [Fact]
    public void Commands_AreRunByTheWalk_OrElsewhere()
    {
        var fenced = Fence().Matches(Readme).Where(fence => fence.Groups[1].Value is not ("bash" or "js" or "csharp" or "python"))
            .SelectMany(fence => fence.Groups[2].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        var inline = InlineCommand().Matches(Fence().Replace(Readme, "")).Select(command => command.Groups[1].Value);

        // Both ways: a command that is new here, and one that is gone from the README.
        Assert.Equal(Elsewhere.Keys.Order(StringComparer.Ordinal), fenced.Concat(inline).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Benchmarks_Run()
    {
        var arguments = Benchmarks.Split(' ')[1..];

        var figures = await Shell.RunAsync(Repository.Root, TimeSpan.FromMinutes(2), "dotnet", [.. arguments, "--no-build", "--", "smoke"]);

        // How many calls a second that was, on a busy machine, is not the question.
        Assert.Equal(3, Regex.Count(figures, @"errors 0\b"));
    }

    [Fact]
    public void Links_LeadToFiles() =>
        Assert.All(Link().Matches(Readme), link => Assert.True(Path.Exists(Path.Combine(Repository.Root, link.Groups[1].Value)), link.Value));

    private static List<string> Blocks(string language) =>
        [.. Regex.Matches(Readme, $"```{language}\n(.*?)```", RegexOptions.Singleline).Select(block => block.Groups[1].Value)];

    private async Task CopySourcesAsync()
    {
        // What a commit of the working tree would hold: a clone of it as it is now.
        await Shell.RunAsync(Repository.Root, TimeSpan.FromMinutes(1), "bash", "-c",
            $"git ls-files -z --cached --others --exclude-standard | tar -c --null -T - --ignore-failed-read 2>/dev/null | tar -x -C '{_copy}'");
    }

    private Task<string> ReadAsync(string file) => File.ReadAllTextAsync(Path.Combine(_copy, file), TestContext.Current.CancellationToken);

    [GeneratedRegex("^```([a-z]*)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    /// <summary>What begins as a program that a shell would find, with an argument, or as one of our scripts.</summary>
    [GeneratedRegex(@"`((?:docker|dotnet|curl|npm|git) [^`]+|(?:tests/run|deploy/[a-z-]+)\.sh[^`]*)`")]
    private static partial Regex InlineCommand();

    [GeneratedRegex(@"\]\((?!http|#)([^)#]+)\)")]
    private static partial Regex Link();
}
