namespace Dvara.Server.Hosting;

/// <summary>How operators know this silo: its machine, and in a cluster its port, because a machine may run several.</summary>
internal sealed record SiloName(string Name);
