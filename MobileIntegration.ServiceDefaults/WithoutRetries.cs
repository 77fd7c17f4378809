using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.ServiceDefaults;

public static class WithoutRetriesExtensions
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Each call is made once and given 5 s: for who asks again and again in any case, where the default resilience would multiply the attempts and
    /// fill the log with them.
    /// </summary>
    public static IHttpClientBuilder WithoutRetries(this IHttpClientBuilder client)
    {
#pragma warning disable EXTEXP0001 // the only way to replace the default for one client, and stable in practice
        client.RemoveAllResilienceHandlers();
#pragma warning restore EXTEXP0001
        return client.ConfigureHttpClient(http => http.Timeout = Patience);
    }
}
