using Microsoft.Extensions.Configuration.Memory;

namespace Dvara.Server.Hosting;

/// <summary>One line per event, quiet by default; <c>Logging:LogLevel:…</c> in the settings makes it louder.</summary>
internal static class Logging
{
    public static void AddOneLineLogging(this WebApplicationBuilder builder, StartUp startUp)
    {
        // The first source loses against every other.
        ((IConfigurationBuilder)builder.Configuration).Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                ["Logging:LogLevel:Default"] = "Information",
                ["Logging:LogLevel:Microsoft"] = "Warning",
                // Enabled at any level it makes an activity and a scope for every request, which nothing here reads.
                ["Logging:LogLevel:Microsoft.AspNetCore.Hosting.Diagnostics"] = "None",
                // A line of ASP.NET's for every 401 and 403.
                ["Logging:LogLevel:Dvara.Server.AdminTokens.AdminTokenHandler"] = "Warning",
                // An error for every probe that finds the node not ready, as at each clean stop; the probe's answer says why.
                ["Logging:LogLevel:Microsoft.Extensions.Diagnostics.HealthChecks"] = "None",
                ["Logging:LogLevel:Orleans"] = "Warning",
                // Every provider that fails and every client that leaves is a stack trace there; here they are charges with an outcome.
                ["Logging:LogLevel:Yarp"] = "Error",
                // Two lines for every grain that is placed.
                ["Logging:LogLevel:Polly"] = "Warning",
                // Its warnings are about server GC, which a small node does not want.
                ["Logging:LogLevel:Orleans.Runtime.Silo"] = "Error",
                // Reports the machine's uptime as a stall at every start.
                ["Logging:LogLevel:Orleans.Runtime.Watchdog"] = "Error",
            },
        });
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.UseUtcTimestamp = true;
            console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z' ";
        });

        // Trouble at start is thrown to the command, which prints it as one line; logged too, it would come with a stack trace.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", level => startUp.IsDone && level >= LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => startUp.IsDone && level >= LogLevel.Warning);
    }
}
