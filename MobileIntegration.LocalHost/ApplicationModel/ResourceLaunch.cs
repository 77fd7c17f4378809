using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>
/// The arguments and environment that a resource starts with, all values known but those that each instance has for itself: its id and the ports it
/// listens on. For these there are placeholders, which <see cref="ForInstance"/> fills.
/// </summary>
internal sealed partial record ResourceLaunch(IReadOnlyList<string> Arguments, IReadOnlyDictionary<string, string> Environment)
{
    public const string InstanceIdPlaceholder = "{{instance-id}}";

    /// <summary>Runs the callbacks of a resource and waits for the values they gave.</summary>
    /// <exception cref="DistributedApplicationException">A value cannot be had; the message names it.</exception>
    public static async Task<ResourceLaunch> EvaluateAsync(IResource resource, DistributedApplicationExecutionContext context, ILogger logger, CancellationToken ct)
    {
        var environment = new EnvironmentCallbackContext(context, resource, cancellationToken: ct) { Logger = logger };
        foreach (var annotation in resource.Annotations.OfType<EnvironmentCallbackAnnotation>())
        {
            await annotation.Callback(environment).ConfigureAwait(false);
        }

        var arguments = new CommandLineArgsCallbackContext([], resource, ct) { ExecutionContext = context, Logger = logger };
        foreach (var annotation in resource.Annotations.OfType<CommandLineArgsCallbackAnnotation>())
        {
            await annotation.Callback(arguments).ConfigureAwait(false);
        }

        var caller = new ValueProviderContext { ExecutionContext = context, Caller = resource, Network = KnownNetworkIdentifiers.LocalhostNetwork };
        var variables = new Dictionary<string, string>();
        foreach (var (name, value) in environment.EnvironmentVariables)
        {
            if (await ResolveAsync(value, $"variable {name}", caller, ct).ConfigureAwait(false) is { } text)
            {
                variables[name] = text;
            }
        }

        List<string> words = [];
        foreach (var value in arguments.Args)
        {
            if (await ResolveAsync(value, $"argument {words.Count + 1}", caller, ct).ConfigureAwait(false) is { } text)
            {
                words.Add(text);
            }
        }

        return new(words, variables);
    }

    /// <summary>Fills in what one instance has for itself; the function gives the port it listens on for an endpoint.</summary>
    public ResourceLaunch ForInstance(string instanceId, Func<string, int> targetPort)
    {
        return new([.. Arguments.Select(Fill)], Environment.ToDictionary(variable => variable.Key, variable => Fill(variable.Value)));

        string Fill(string text) => TargetPort()
            .Replace(text, match => targetPort(match.Groups["endpoint"].Value).ToString(CultureInfo.InvariantCulture))
            .Replace(InstanceIdPlaceholder, instanceId, StringComparison.Ordinal);
    }

    /// <summary>Stands for the port that an instance of the resource listens on.</summary>
    internal static string TargetPortPlaceholder(IResource resource, EndpointAnnotation endpoint) => $"{{{{target-port:{resource.Name}/{endpoint.Name}}}}}";

    private static async Task<string?> ResolveAsync(object? value, string what, ValueProviderContext caller, CancellationToken ct)
    {
        var name = caller.Caller!.Name;
        var text = value switch
        {
            null => null,
            string given => given,
            IValueProvider provider => await provider.GetValueAsync(caller, ct).ConfigureAwait(false),
            IResourceBuilder<IResource> { Resource: IValueProvider provider } => await provider.GetValueAsync(caller, ct).ConfigureAwait(false),
            bool or char or byte or short or int or long or float or double or decimal => Convert.ToString(value, CultureInfo.InvariantCulture),
            _ => throw new DistributedApplicationException(
                $"The {what} of '{name}' is a {value.GetType().Name}, which has no value: use text, a number, an endpoint, a parameter or an expression."),
        };

        if (text is not null && TargetPort().Matches(text).FirstOrDefault(match => match.Groups["resource"].Value != name) is { } foreign)
        {
            var (owner, endpoint) = (foreign.Groups["resource"].Value, foreign.Groups["endpoint"].Value);
            throw new DistributedApplicationException(
                $"The {what} of '{name}' asks for the target port of '{owner}', which differs from instance to instance: use Port, or fix it with WithEndpoint(\"{endpoint}\", endpoint => endpoint.TargetPort = ...).");
        }

        return text;
    }

    [GeneratedRegex(@"\{\{target-port:(?<resource>[^/}]+)/(?<endpoint>[^}]+)\}\}", RegexOptions.CultureInvariant)]
    private static partial Regex TargetPort();
}
