// ASP.NET has an Endpoint of its own; here the word means the contract's path.
global using Endpoint = Dvara.Providers.Endpoint;
