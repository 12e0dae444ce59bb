using Dvara.Testing;

/// <summary>The name and place where the runtime looks for what <c>DOTNET_STARTUP_HOOKS</c> asks for.</summary>
internal static class StartupHook
{
    public static void Initialize() => FlushFault.Arm();
}
