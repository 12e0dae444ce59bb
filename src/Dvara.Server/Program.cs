using Dvara.Server.Hosting;

try
{
    await using var app = DvaraHost.Build(args);
    await app.RunAsync();
    return 0;
}
catch (Exception exception) when (exception is SettingsException or IOException)
{
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
