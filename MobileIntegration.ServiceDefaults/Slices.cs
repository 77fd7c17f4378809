using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace MobileIntegration.ServiceDefaults;

/// <summary>One microservice of a group: what it registers and what it maps.</summary>
/// <param name="Name">Its name in the setting <c>Run</c> and in service discovery.</param>
/// <param name="Scope">What an access token must allow to call any of its endpoints; null for any valid token.</param>
/// <param name="Public">Its endpoints need no token but where they say so themselves. Every other slice is behind tokens.</param>
public sealed record Slice(
    string Name, Action<IHostApplicationBuilder> Add, Action<IEndpointRouteBuilder> Map, string? Scope = null, bool Public = false);

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
        if (chosen.Any(slice => !slice.Public))
        {
            builder.AddTokenAuthentication();
        }
        builder.Services.AddOverloadProtection();
        foreach (var slice in chosen)
        {
            slice.Add(builder);
        }
        builder.Services.AddSingleton(new ChosenSlices(chosen));
    }

    /// <summary>Maps the endpoints of the slices that AddSlices chose, behind tokens unless they are public.</summary>
    public static void MapSlices(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        foreach (var slice in app.Services.GetRequiredService<ChosenSlices>().Slices)
        {
            var group = app.MapGroup("").ProtectFromOverload().Describe(slice);
            if (slice is { Public: false, Scope: { } scope })
            {
                group.RequireScope(scope);
            }
            else if (!slice.Public)
            {
                group.RequireAuthorization();
            }
            slice.Map(group);
        }
    }

    private sealed record ChosenSlices(IReadOnlyList<Slice> Slices);
}
