using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>Sends telemetry of resources to the dashboard.</summary>
public static class OtlpConfigurationExtensions
{
    private const string GrpcEndpoint = "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL";
    private const string HttpEndpoint = "ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL";

    /// <summary>Sends telemetry over gRPC, or over HTTP if only that is offered.</summary>
    public static IResourceBuilder<T> WithOtlpExporter<T>(this IResourceBuilder<T> builder)
        where T : IResourceWithEnvironment
    {
        AddOtlpEnvironment(builder.Resource, builder.ApplicationBuilder.Configuration, builder.ApplicationBuilder.Environment);
        return builder;
    }

    /// <summary>Sends telemetry over one protocol.</summary>
    public static IResourceBuilder<T> WithOtlpExporter<T>(this IResourceBuilder<T> builder, OtlpProtocol protocol)
        where T : IResourceWithEnvironment
    {
        AddOtlpEnvironment(builder.Resource, builder.ApplicationBuilder.Configuration, builder.ApplicationBuilder.Environment, protocol);
        return builder;
    }

    public static void AddOtlpEnvironment(IResource resource, IConfiguration configuration, IHostEnvironment environment) =>
        Add(resource, configuration, environment, null);

    public static void AddOtlpEnvironment(IResource resource, IConfiguration configuration, IHostEnvironment environment, OtlpProtocol protocol) =>
        Add(resource, configuration, environment, protocol);

    private static void Add(IResource resource, IConfiguration configuration, IHostEnvironment environment, OtlpProtocol? protocol)
    {
        ArgumentNullException.ThrowIfNull(resource);
        resource.Annotations.Add(new OtlpExporterAnnotation { RequiredProtocol = protocol });
        resource.Annotations.Add(new EnvironmentCallbackAnnotation(context =>
        {
            var variables = context.EnvironmentVariables;
            var target = Target(configuration, protocol);
            if (target is { } receiver)
            {
                variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Url;
                variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = receiver.Protocol;
            }

            variables["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={ResourceLaunch.InstanceIdPlaceholder}";
            variables["OTEL_SERVICE_NAME"] = resource.Name;
            if (target is not null && configuration["AppHost:OtlpApiKey"] is { Length: > 0 } key)
            {
                variables["OTEL_EXPORTER_OTLP_HEADERS"] = $"x-otlp-api-key={key}";
            }

            if (environment.IsDevelopment())
            {
                variables["OTEL_BLRP_SCHEDULE_DELAY"] = "1000";
                variables["OTEL_BSP_SCHEDULE_DELAY"] = "1000";
                variables["OTEL_METRIC_EXPORT_INTERVAL"] = "1000";
                variables["OTEL_TRACES_SAMPLER"] = "always_on";
                variables["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based";
                variables["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true";
            }
        }));
    }

    private static (string Url, string Protocol)? Target(IConfiguration configuration, OtlpProtocol? protocol)
    {
        var (grpc, http) = (configuration[GrpcEndpoint], configuration[HttpEndpoint]);
        return protocol switch
        {
            OtlpProtocol.Grpc => grpc is null ? null : (grpc, "grpc"),
            OtlpProtocol.HttpProtobuf => http is null ? null : (http, "http/protobuf"),
            OtlpProtocol.HttpJson => http is null ? null : (http, "http/json"),
            _ => grpc is not null ? (grpc, "grpc") : http is not null ? (http, "http/protobuf") : null,
        };
    }
}
