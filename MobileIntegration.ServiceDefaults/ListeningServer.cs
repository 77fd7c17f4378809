using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Kestrel, with an address that cannot be listened on told as a <see cref="StartException"/>. The host would log the stack of that beside the
/// one line for the operator, so from this failure on, which nothing but the end of the process follows, the host's log is silent.
/// </summary>
internal sealed class ListeningServer(IServer kestrel, ListeningServer.Outcome outcome) : IServer
{
    public IFeatureCollection Features => kestrel.Features;

    public async Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken) where TContext : notnull
    {
        // Kestrel replaces them by those that it listens on.
        string[] addresses = [.. Features.Get<IServerAddressesFeature>()?.Addresses ?? []];
        try
        {
            await kestrel.StartAsync(application, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException { InnerException: AddressInUseException or AggregateException } or SocketException)
        {
            outcome.Failed = true;
            throw new StartException(
                $"Cannot listen on {string.Join(", ", addresses)}: {exception.Message} "
                + "Stop what listens there, or choose another address with ASPNETCORE_URLS.",
                exception);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => kestrel.StopAsync(cancellationToken);

    public void Dispose() => kestrel.Dispose();

    internal sealed class Outcome
    {
        public bool Failed { get; set; }
    }
}

internal static class ListeningServerExtensions
{
    public static void AddListeningServer(this IHostApplicationBuilder builder)
    {
        var outcome = new ListeningServer.Outcome();
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level => level >= LogLevel.Information && !outcome.Failed);
        // By its registration, since Kestrel's type is internal. Another kind of host, such as a worker, has no server.
        if (builder.Services.LastOrDefault(service => service.ServiceType == typeof(IServer)) is { ImplementationType: { } kestrel } registered)
        {
            builder.Services.Remove(registered);
            builder.Services.AddSingleton<IServer>(services =>
                new ListeningServer((IServer)ActivatorUtilities.CreateInstance(services, kestrel), outcome));
        }
    }
}
