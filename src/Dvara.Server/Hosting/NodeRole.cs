namespace Dvara.Server.Hosting;

/// <summary>What of a cluster a process is.</summary>
internal enum NodeRole
{
    /// <summary>It takes requests and has grains.</summary>
    Both,

    /// <summary>It takes requests; its grains are in other processes, which it reaches through their gateway ports.</summary>
    Gateway,

    /// <summary>It has grains.</summary>
    Silo,
}
