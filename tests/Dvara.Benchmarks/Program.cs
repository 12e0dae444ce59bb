using Dvara.Benchmarks;

// dotnet run -c Release --project tests/Dvara.Benchmarks                       the gateway beside bare YARP and the upstream alone
// dotnet run -c Release --project tests/Dvara.Benchmarks -- smoke              that this still runs, in seconds; its figures mean nothing
// dotnet run -c Release --project tests/Dvara.Benchmarks -- memory 100000      memory of the gateway after so many requests
// dotnet run -c Release --project tests/Dvara.Benchmarks -- allocations        bytes per request in the gateway's process
// dotnet run -c Release --project tests/Dvara.Benchmarks -- start              start of a process to its first answered request
// dotnet run -c Release --project tests/Dvara.Benchmarks -- lookup             whose key is this, first use and warm
// dotnet run -c Release --project tests/Dvara.Benchmarks -- ledger 100000      charges per second into both engines (needs DVARA_TEST_POSTGRES)
// dotnet run -c Release --project tests/Dvara.Benchmarks -- queries 10000000   reports over so many charges (needs DVARA_TEST_POSTGRES)
// dotnet run -c Release --project tests/Dvara.Benchmarks -- acknowledge        what waiting for the ledger costs (needs DVARA_TEST_POSTGRES)
// dotnet run -c Release --project tests/Dvara.Benchmarks -- recovery           grains after their silo was killed or froze (needs DVARA_TEST_POSTGRES)
// dotnet run -c Release --project tests/Dvara.Benchmarks -- caps               calls under four caps beside the same calls under none
// dotnet run -c Release --project tests/Dvara.Benchmarks -- holds              one hold: of a slice, through the gate, of a grain (needs DVARA_TEST_POSTGRES)
return args switch
{
    ["upstream"] => await BareUpstream.RunAsync(),
    ["yarp", var target] => await BareYarp.RunAsync(target),
    ["smoke"] => await SideBySide.SmokeAsync(),
    ["memory", var requests] => await SideBySide.MeasureMemoryAsync(int.Parse(requests, System.Globalization.CultureInfo.InvariantCulture)),
    ["allocations"] => await SideBySide.MeasureAllocationsAsync(),
    ["start"] => await SideBySide.MeasureStartAsync(),
    ["lookup"] => await Lookup.RunAsync(),
    ["ledger", var charges] => await LedgerThroughput.RunAsync(int.Parse(charges, System.Globalization.CultureInfo.InvariantCulture)),
    ["queries", var charges] => await LedgerQueries.RunAsync(int.Parse(charges, System.Globalization.CultureInfo.InvariantCulture)),
    ["acknowledge"] => await ClusterTimes.MeasureAcknowledgeAsync(),
    ["recovery"] => await ClusterTimes.MeasureRecoveryAsync(),
    ["caps"] => await SideBySide.MeasureCapsAsync(),
    ["holds"] => await Holds.RunAsync(),
    [] => await SideBySide.RunAsync(),
    _ => throw new ArgumentException("Known: no argument, or: smoke, memory <requests>, allocations, start, lookup, ledger <charges>, queries <charges>, acknowledge, recovery, caps, holds"),
};
