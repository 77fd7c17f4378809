using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using MobileIntegration.LocalHost.ApplicationModel;

namespace MobileIntegration.LocalHost;

/// <summary>What every project gets: endpoints and variables of its launch profile, telemetry, and the addresses to listen on.</summary>
internal static class ProjectDefaults
{
    public static IResourceBuilder<ProjectResource> Apply(IResourceBuilder<ProjectResource> project, IProjectMetadata metadata, ProjectResourceOptions options)
    {
        AddTelemetry(project);
        project.WithEnvironment("DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION", "true");
        project.WithEnvironment("LOGGING__CONSOLE__FORMATTERNAME", "simple");

        var profile = options.ExcludeLaunchProfile ? null : LaunchProfiles.Select(project, metadata, options.LaunchProfileName);
        if (options.ExcludeLaunchProfile)
        {
            project.WithAnnotation<ExcludeLaunchProfileAnnotation>();
        }

        var kestrel = options.ExcludeKestrelEndpoints ? [] : KestrelEndpoints(metadata, project.ApplicationBuilder.Environment.EnvironmentName);
        foreach (var (name, address) in kestrel)
        {
            AddEndpoint(project, name, address, fromLaunchProfile: false);
        }

        if (kestrel.Count == 0 && profile is { Profile.ApplicationUrl: { Length: > 0 } urls })
        {
            Dictionary<string, int> count = [];
            foreach (var address in urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(Address.Parse))
            {
                var number = count[address.Scheme] = count.GetValueOrDefault(address.Scheme) + 1;
                AddEndpoint(project, number == 1 ? address.Scheme : $"{address.Scheme}{number}", address, fromLaunchProfile: true);
            }
        }

        var kestrelNames = kestrel.Select(endpoint => endpoint.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        project.WithEnvironment(context => AddAddresses(context, project.Resource, kestrelNames));
        if (profile is { } chosen)
        {
            AddProfile(project, chosen.Name, chosen.Profile);
        }

        return project;
    }

    private static void AddTelemetry(IResourceBuilder<ProjectResource> project)
    {
        project.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY", "in_memory");
        if (project.ApplicationBuilder.Environment.IsDevelopment())
        {
            project.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION", "true");
            project.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION", "true");
        }

        project.WithOtlpExporter();
    }

    private static void AddEndpoint(IResourceBuilder<ProjectResource> project, string name, Address address, bool fromLaunchProfile) =>
        project.WithAnnotation(new EndpointAnnotation(System.Net.Sockets.ProtocolType.Tcp, address.Scheme, name: name, port: address.Port)
        {
            TargetHost = address.Host,
            FromLaunchProfile = fromLaunchProfile,
        });

    private static void AddAddresses(EnvironmentCallbackContext context, ProjectResource project, HashSet<string> kestrelNames)
    {
        List<EndpointAnnotation> told = [.. project.Annotations.OfType<EndpointAnnotation>()
            .Where(endpoint => endpoint is { UriScheme: "http" or "https", TargetPortEnvironmentVariable: null })
            .Where(endpoint => project.Annotations.OfType<EndpointEnvironmentFilterAnnotation>().All(annotation => annotation.Filter(endpoint)))];
        var urls = new ReferenceExpressionBuilder();
        foreach (var endpoint in told)
        {
            var targetPort = new EndpointReference(project, endpoint).Property(EndpointProperty.TargetPort);
            var host = endpoint.TargetHost.Contains(':', StringComparison.Ordinal) ? $"[{endpoint.TargetHost.Trim('[', ']')}]" : endpoint.TargetHost;
            if (kestrelNames.Count > 0)
            {
                context.EnvironmentVariables[$"Kestrel__Endpoints__{endpoint.Name}__Url"] =
                    ReferenceExpression.Create($"{endpoint.UriScheme}://{host}:{targetPort}");
                continue;
            }

            urls.AppendLiteral(urls.IsEmpty ? string.Empty : ";");
            urls.Append($"{endpoint.UriScheme}://{host}:{targetPort}");
        }

        if (!urls.IsEmpty)
        {
            context.EnvironmentVariables["ASPNETCORE_URLS"] = urls.Build();
        }

        if (told.Find(endpoint => endpoint.UriScheme == "https") is { } https)
        {
            context.EnvironmentVariables["ASPNETCORE_HTTPS_PORT"] = new EndpointReference(project, https).Property(EndpointProperty.Port);
        }
    }

    private static void AddProfile(IResourceBuilder<ProjectResource> project, string name, LaunchProfile profile)
    {
        project.WithEnvironment(context =>
        {
            context.EnvironmentVariables.TryAdd("DOTNET_LAUNCH_PROFILE", name);
            foreach (var (variable, value) in profile.EnvironmentVariables)
            {
                context.EnvironmentVariables.TryAdd(variable, Environment.ExpandEnvironmentVariables(value));
            }
        });

        if (LaunchProfiles.SplitArguments(profile.CommandLineArgs) is { Count: > 0 } arguments)
        {
            project.WithArgs([.. arguments]);
        }

        if (profile.LaunchUrl is { Length: > 0 } launchUrl)
        {
            project.WithUrls(context =>
            {
                foreach (var url in context.Urls.Where(url => url.Endpoint?.EndpointAnnotation.FromLaunchProfile == true))
                {
                    url.Url = new Uri(new Uri(url.Url), launchUrl).ToString();
                }
            });
        }
    }

    private static List<(string Name, Address Address)> KestrelEndpoints(IProjectMetadata metadata, string environment)
    {
        if (Path.GetDirectoryName(metadata.ProjectPath) is not { } directory || !Directory.Exists(directory))
        {
            return [];
        }

        var settings = new ConfigurationBuilder().SetBasePath(directory)
            .AddJsonFile("appsettings.json", optional: true)
            .AddJsonFile($"appsettings.{environment}.json", optional: true)
            .Build();
        return [.. settings.GetSection("Kestrel:Endpoints").GetChildren()
            .Where(endpoint => !string.IsNullOrEmpty(endpoint["Url"]))
            .Select(endpoint => (endpoint.Key, Address.Parse(endpoint["Url"]!)))];
    }

    /// <summary>An address to listen on, whose host may be a wildcard.</summary>
    private readonly record struct Address(string Scheme, string Host, int? Port)
    {
        public static Address Parse(string url)
        {
            var readable = url.Replace("://*", "://localhost", StringComparison.Ordinal).Replace("://+", "://localhost", StringComparison.Ordinal);
            return Uri.TryCreate(readable, UriKind.Absolute, out var uri)
                ? new(uri.Scheme, KnownHostNames.Localhost, uri.Port is > 0 and var port ? port : null)
                : throw new DistributedApplicationException($"'{url}' is not an address to listen on, such as http://localhost:5000: correct the launch profile or appsettings.json it is in.");
        }
    }
}
