using Dvara.Server.Hosting;

return await Commands.RunAsync(args);
