using System.Collections.Concurrent;
using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Access tokens that ended before their time, by themselves or with their login: a lost device, a logout, a theft. What the identity service knows
/// of them is here within moments (<see cref="RevocationNews"/>), and every check of a token asks.
/// </summary>
public sealed class RevokedTokens(IOptions<AuthenticationSettings> settings, TimeProvider time)
{
    private static readonly TimeSpan FirstPatience = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<string, DateTimeOffset> _ids = [];
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _any;

    /// <summary>Something ended that was not known before.</summary>
    public event EventHandler? Added;

    /// <summary>The identity service was asked since the start, or there is none that would tell.</summary>
    public bool AreKnown => _asked.Task.IsCompleted || settings.Value.InternalAddress is not { Length: > 0 };

    public bool Holds(ClaimsPrincipal caller)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return _any && (Names(caller, Revocations.TokenClaim) || Names(caller, Revocations.LoginClaim));
    }

    internal void Add(IEnumerable<string> ids)
    {
        var until = time.GetUtcNow() + Revocations.Kept;
        var isNew = false;
        foreach (var id in ids)
        {
            isNew |= _ids.TryAdd(id, until);
        }
        if (isNew)
        {
            _any = true;
            Added?.Invoke(this, EventArgs.Empty);
        }
    }

    internal void Forget()
    {
        var now = time.GetUtcNow();
        foreach (var (id, until) in _ids)
        {
            if (until < now)
            {
                _ids.TryRemove(id, out _);
            }
        }
    }

    /// <summary>The first calls after a start wait until the identity service has answered once or failed to, 2 s at most.</summary>
    internal void Asked() => _asked.TrySetResult();

    /// <summary>A token that was found to be right is refused when it is among these.</summary>
    internal Func<TContext, Task> After<TContext>(Func<TContext, Task> check) where TContext : ResultContext<JwtBearerOptions> => async context =>
    {
        await check(context);
        if (context.Principal is not { } caller)
        {
            return;
        }
        // An authority outside tells nobody of what it revokes.
        if (!AreKnown)
        {
            await Task.WhenAny(_asked.Task, Task.Delay(FirstPatience, time, context.HttpContext.RequestAborted));
            Asked();
        }
        if (Holds(caller))
        {
            context.Fail("The access token has been revoked.");
        }
    };

    private bool Names(ClaimsPrincipal caller, string claim) => caller.FindFirst(claim)?.Value is { } id && _ids.ContainsKey(id);
}

internal static class RevokedTokensExtensions
{
    public static void AddRevokedTokens(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton<RevokedTokens>();
        if (builder.Configuration["Authentication:InternalAddress"] is { Length: > 0 } inside && Uri.TryCreate($"{inside.TrimEnd('/')}/", UriKind.Absolute, out var address))
        {
            builder.Services.AddHttpClient<IdentityClient>(http => http.BaseAddress = address).WithoutRetries();
            builder.Services.AddHostedService<RevocationNews>();
        }
    }
}
