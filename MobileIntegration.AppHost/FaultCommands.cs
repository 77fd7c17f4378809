using System.Net.Http.Json;

/// <summary>Switches on the resources of the back office that break one of its systems and mend it again.</summary>
internal static class FaultCommands
{
    private static readonly HttpClient Client = new();

    public static void WithFaultCommands(this IResourceBuilder<ProjectResource> backend, string[] systems)
    {
        foreach (var system in systems)
        {
            backend
                .WithFaultCommand(system, "outage", "take down", "PlugDisconnected", new { outage = true })
                .WithFaultCommand(system, "slow", "slow down", "Timer", new { latencyMs = 2000, jitterMs = 1000 })
                .WithFaultCommand(system, "drip", "let answers drip", "Drop", new { dripBytesPerSecond = 200 })
                .WithFaultCommand(system, "errors", "let a third of calls fail", "ErrorCircle", new { errorRate = 0.33 })
                .WithFaultCommand(system, "mend", "mend", "Wrench", fault: null);
        }
    }

    private static IResourceBuilder<ProjectResource> WithFaultCommand(
        this IResourceBuilder<ProjectResource> backend, string system, string name, string verb, string icon, object? fault) =>
        backend.WithCommand($"{system}-{name}", $"{char.ToUpperInvariant(system[0])}{system[1..]}: {verb}", async context =>
        {
            var address = new Uri($"{backend.GetEndpoint("http").Url}/{system}/faults");
            using var response = fault is null
                ? await Client.DeleteAsync(address, context.CancellationToken)
                : await Client.PutAsJsonAsync(address, fault, context.CancellationToken);
            return response.IsSuccessStatusCode
                ? CommandResults.Success()
                : CommandResults.Failure($"{system} answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(context.CancellationToken)}");
        },
        new CommandOptions
        {
            IconName = icon,
            ConfirmationMessage = fault is null ? null : $"Calls of {system} will be disturbed until it is mended.",
        });
}
