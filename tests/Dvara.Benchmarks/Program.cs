using Dvara.Benchmarks;

// dotnet run -c Release --project tests/Dvara.Benchmarks                       the gateway beside bare YARP and the upstream alone
// dotnet run -c Release --project tests/Dvara.Benchmarks -- memory 100000      memory of the gateway after so many requests
return args switch
{
    ["upstream"] => await BareUpstream.RunAsync(),
    ["yarp", var target] => await BareYarp.RunAsync(target),
    ["memory", var requests] => await SideBySide.MeasureMemoryAsync(int.Parse(requests, System.Globalization.CultureInfo.InvariantCulture)),
    [] => await SideBySide.RunAsync(),
    _ => throw new ArgumentException("Known: no argument, or: memory <requests>"),
};
