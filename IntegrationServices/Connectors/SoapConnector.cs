using System.Net;
using System.Net.Http.Headers;
using System.ServiceModel;
using System.ServiceModel.Channels;
using System.ServiceModel.Description;
using System.ServiceModel.Dispatcher;
using System.Text;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Connectors;

/// <summary>SOAP 1.1 or 1.2 through WCF's client, sent by an HttpClient handler as any other call is: discovery, resilience and telemetry are the same.</summary>
/// <typeparam name="TService">The service contract.</typeparam>
internal sealed class SoapConnector<TService> : IDisposable where TService : class
{
    private const int LargestAnswer = 4 * 1024 * 1024;
    private readonly ConnectorOptions _options;
    private readonly ChannelFactory<TService> _channels;

    /// <param name="isSoap12">SOAP 1.2 (media type application/soap+xml), without WS-Addressing; otherwise SOAP 1.1.</param>
    public SoapConnector(string system, string path, ConnectorOptions options, HttpMessageHandler handler, bool isSoap12 = false)
    {
        System = system;
        _options = options;
        var address = new Uri(new Uri(options.Address), path);
        HttpTransportBindingElement transport = address.Scheme is "https" ? new HttpsTransportBindingElement() : new HttpTransportBindingElement();
        transport.MaxReceivedMessageSize = LargestAnswer;
        var version = MessageVersion.CreateVersion(isSoap12 ? EnvelopeVersion.Soap12 : EnvelopeVersion.Soap11, AddressingVersion.None);
        var binding = new CustomBinding(new TextMessageEncodingBindingElement(version, Encoding.UTF8), transport)
        {
            SendTimeout = TimeSpan.FromSeconds(options.TimeoutSeconds),
        };
        _channels = new ChannelFactory<TService>(binding, new EndpointAddress(address));
        _channels.Endpoint.EndpointBehaviors.Add(new SendWith(handler));
    }

    public string System { get; }

    /// <summary>Calls an operation.</summary>
    /// <exception cref="FaultException">The fault that the service answered, for the caller to know its own.</exception>
    /// <exception cref="BackendException">No answer, or one that is no SOAP message.</exception>
    public Task<TResult> CallAsync<TResult>(Func<TService, Task<TResult>> operation, CancellationToken ct) =>
        Guarded.CallAsync(System, _options, async deadline =>
        {
            var channel = _channels.CreateChannel();
            try
            {
                // WCF takes no token; what is given up here ends with the binding's own time-out.
                return await operation(channel).WaitAsync(deadline);
            }
            catch (Exception exception) when (exception is not (FaultException or OperationCanceledException))
            {
                throw Translate(exception);
            }
            finally
            {
                ((IClientChannel)channel).Abort();
            }
        }, ct);

    public void Dispose() => _channels.Abort();

    /// <summary>WCF wraps what the handlers threw.</summary>
    private BackendException Translate(Exception exception)
    {
        for (var cause = exception; cause is not null; cause = cause.InnerException)
        {
            if (cause is BackendException known)
            {
                return known;
            }
            if (cause is not CommunicationException && CallFailure.From(cause) is { } failure)
            {
                return BackendException.From(System, failure, exception);
            }
        }
        return new(System, StatusCodes.Status502BadGateway, "answered what is no SOAP message", TimeSpan.FromMinutes(1), exception);
    }

    private sealed class SendWith(HttpMessageHandler handler) : IEndpointBehavior
    {
        public void AddBindingParameters(ServiceEndpoint endpoint, BindingParameterCollection bindingParameters) =>
            bindingParameters.Add(new Func<HttpClientHandler, HttpMessageHandler>(_ => handler));

        public void ApplyClientBehavior(ServiceEndpoint endpoint, ClientRuntime clientRuntime)
        {
        }

        public void ApplyDispatchBehavior(ServiceEndpoint endpoint, EndpointDispatcher endpointDispatcher)
        {
        }

        public void Validate(ServiceEndpoint endpoint)
        {
        }
    }
}

/// <summary>Tells a SOAP answer, faults included, from the page of something that stands before a broken system.</summary>
internal sealed class SoapAnswersOnly(string system) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (response.IsSuccessStatusCode || IsFault(response))
        {
            return response;
        }
        using (response)
        {
            throw BackendException.Answered(system, response);
        }
    }

    private static bool IsFault(HttpResponseMessage response) =>
        response is
        {
            StatusCode: HttpStatusCode.InternalServerError or HttpStatusCode.BadRequest,
            Content.Headers.ContentType: MediaTypeHeaderValue { MediaType: "text/xml" or "application/soap+xml" },
        };
}

internal static class SoapConnectorExtensions
{
    /// <summary>A connector to a service all of whose operations may be repeated: they are tried again as safe methods are.</summary>
    public static void AddSoapConnector<TService>(this IHostApplicationBuilder builder, string system, string path, bool isSoap12 = false)
        where TService : class
    {
        builder.AddConnectorOptions(system);
        var client = builder.Services.AddHttpClient(system)
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan); // the channel factory keeps the handler
#pragma warning disable EXTEXP0001 // the only way to replace the default for one client, and stable in practice
        client.RemoveAllResilienceHandlers();
#pragma warning restore EXTEXP0001
        client.AddHttpMessageHandler(() => new SoapAnswersOnly(system));
        client.AddStandardResilienceHandler(options =>
        {
            // A fault has status 500 and is an answer: the same one comes again.
            options.SuitBackends(outcome => outcome.Result?.StatusCode is not HttpStatusCode.InternalServerError && HttpClientResiliencePredicates.IsTransient(outcome));
        }).AddBulkhead(system);
        client.AddCredentials(builder, system);
        builder.Services.AddSingleton(services => new SoapConnector<TService>(
            system,
            path,
            services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system),
            services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler(system),
            isSoap12));
    }
}
