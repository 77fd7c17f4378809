using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.ServiceDefaults;

/// <summary>One microservice of a group: what it registers and what it maps.</summary>
/// <param name="Name">Its name in the setting <c>Run</c> and in service discovery.</param>
public sealed record Slice(string Name, Action<IHostApplicationBuilder> Add, Action<IEndpointRouteBuilder> Map);

public static class SliceExtensions
{
    /// <summary>
    /// Adds the slices that the setting <c>Run</c> names (a comma list, such as <c>Run=push,sync</c>), all of them when it is unset or empty.
    /// </summary>
    /// <exception cref="StartException"><c>Run</c> names a slice that is not in the list.</exception>
    public static void AddSlices(this IHostApplicationBuilder builder, params Slice[] slices)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var wanted = (builder.Configuration["Run"] ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (var name in wanted)
        {
            if (!slices.Any(slice => slice.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))
            {
                throw new StartException(
                    $"Run names '{name}', which is not here. Valid: {string.Join(", ", slices.Select(slice => slice.Name))}.");
            }
        }
        Slice[] chosen = wanted.Length is 0
            ? slices
            : [.. slices.Where(slice => wanted.Contains(slice.Name, StringComparer.OrdinalIgnoreCase))];
        foreach (var slice in chosen)
        {
            slice.Add(builder);
        }
        builder.Services.AddSingleton(new ChosenSlices(chosen));
    }

    /// <summary>Maps the endpoints of the slices that AddSlices chose.</summary>
    public static void MapSlices(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        foreach (var slice in app.Services.GetRequiredService<ChosenSlices>().Slices)
        {
            slice.Map(app);
        }
    }

    private sealed record ChosenSlices(IReadOnlyList<Slice> Slices);
}
