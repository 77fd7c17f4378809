using System.Text.RegularExpressions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using MobileIntegration.LocalHost.ApplicationModel;
using MobileIntegration.LocalHost.Telemetry;

namespace MobileIntegration.LocalHost.Dashboard;

/// <summary>What pages say about a resource.</summary>
internal static partial class ResourceFacts
{
    public static string? Source(CustomResourceSnapshot snapshot) =>
        snapshot.Properties.FirstOrDefault(property => property.Name == CustomResourceKnownProperties.Source)?.Value is string source ? Path.GetFileName(source) : null;

    public static IReadOnlyList<string> WaitsFor(CustomResourceSnapshot snapshot) =>
        snapshot.Properties.FirstOrDefault(property => property.Name == ResourceNotificationService.WaitingForProperty)?.Value as string[] ?? [];

    /// <summary>Those that can be opened now.</summary>
    public static IEnumerable<UrlSnapshot> Urls(CustomResourceSnapshot snapshot) =>
        snapshot.Urls.Where(url => !url.IsInactive).OrderBy(url => url.DisplayProperties.SortOrder);

    /// <summary>Why it is not in order, a line each.</summary>
    public static IEnumerable<string> Reasons(CustomResourceSnapshot snapshot)
    {
        if (snapshot.ExitCode is { } exitCode)
        {
            yield return $"exit code {exitCode}";
        }

        if (WaitsFor(snapshot) is { Count: > 0 } waits && snapshot.State?.Text == KnownResourceStates.Waiting)
        {
            yield return $"waits for {string.Join(", ", waits)}";
        }

        if (snapshot.Properties.FirstOrDefault(property => property.Name == "resource.reason")?.Value is string reason)
        {
            yield return reason;
        }

        foreach (var report in snapshot.HealthStatus is null ? [] : snapshot.HealthReports.Where(report => report.Status is not HealthStatus.Healthy))
        {
            yield return $"{report.Name}: {report.ExceptionText?.Split('\n')[0] ?? report.Description ?? "not answered yet"}";
        }
    }

    /// <summary>Whether a value is shown only when asked for: by its name, or because it holds a password.</summary>
    public static bool IsSecret(string name, string value) =>
        value.Length > 0 && (SecretMask.IsSecret(name) || SecretName().IsMatch(name) || SecretMask.Clean(value) != value);

    [GeneratedRegex("password|passwd|pwd|secret|token|credential|api_?key|signing|private|(^|_)key$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SecretName();
}
