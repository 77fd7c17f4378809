using System.Globalization;
using System.Security.Claims;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace MobileServices.Devices;

/// <summary>What an app asks at its start, and what gateways ask.</summary>
internal static class LaunchEndpoints
{
    public static async Task<Results<Ok<LaunchAnswer>, ValidationProblem>> InitAsync(
        Launch launch,
        ClaimsPrincipal caller,
        DeviceStore store,
        RuleSets rules,
        DecisionKeys keys,
        IOptions<DevicesOptions> options,
        TimeProvider time,
        HttpContext http,
        CancellationToken ct)
    {
        var errors = DeviceRules.Check(launch.ToRegistration());
        if (launch.DeviceId is not { } device || device == Guid.Empty)
        {
            errors["deviceId"] = ["Must be a UUID, made once by the installation."];
        }
        if (errors.Count > 0)
        {
            return TypedResults.ValidationProblem(errors, detail: "The call is not complete and right: see errors.", title: "Bad Request");
        }
        await store.LaunchAsync(launch.DeviceId!.Value, launch.ToRegistration(), caller.Id(), http.DeviceKey(), ct);
        var now = time.GetUtcNow();
        var decision = (await rules.CurrentAsync(ct)).Decide(
            new(launch.AppId!, launch.AppVersion!, launch.Platform, launch.OsVersion, launch.DeviceId, launch.Locale), now);
        var expires = now.AddMinutes(options.Value.DecisionMinutes);
        using var key = keys.Current()[0].ToSigner(out var credentials);
        return TypedResults.Ok(new LaunchAnswer(decision, Sign(launch, decision, options.Value.Issuer, now, expires, credentials), expires));
    }

    public static Ok<KeySet> Keys(HttpContext http, DecisionKeys keys)
    {
        http.Response.Headers.CacheControl = "public, max-age=300";
        return TypedResults.Ok(new KeySet([.. keys.Current().Select(key => key.ToJwk())]));
    }

    /// <summary>All rules, for the gateways; the version is the ETag.</summary>
    public static async Task<IResult> RulesAsync(HttpContext http, RuleSets rules, CancellationToken ct)
    {
        var current = await rules.CurrentAsync(ct);
        var tag = string.Create(CultureInfo.InvariantCulture, $"\"{current.Version}\"");
        http.Response.Headers.ETag = tag;
        return http.Request.Headers.IfNoneMatch == tag ? TypedResults.StatusCode(StatusCodes.Status304NotModified) : TypedResults.Ok(current.RuleSet);
    }

    private static string Sign(
        Launch launch, AppDecision decision, string issuer, DateTimeOffset now, DateTimeOffset expires, SigningCredentials credentials)
    {
        var claims = new Dictionary<string, object?>
        {
            ["sub"] = launch.DeviceId.ToString(),
            ["app_version"] = launch.AppVersion,
            ["action"] = decision.Action.ToString().ToLowerInvariant(),
            ["rule"] = decision.Rule,
            ["message"] = decision.Message,
            ["store"] = decision.Store,
            ["minimum_version"] = decision.MinimumVersion,
            ["device_blocked"] = decision.DeviceBlocked,
        };
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            TokenType = "app-decision+jwt",
            Issuer = issuer,
            Audience = launch.AppId,
            IssuedAt = now.UtcDateTime,
            Expires = expires.UtcDateTime,
            Claims = claims.Where(claim => claim.Value is not null).ToDictionary(claim => claim.Key, claim => claim.Value!),
            SigningCredentials = credentials,
        });
    }

    private static System.Security.Cryptography.ECDsa ToSigner(this SigningKey key, out SigningCredentials credentials)
    {
        var signer = key.Open();
        credentials = new(new ECDsaSecurityKey(signer) { KeyId = key.Id, CryptoProviderFactory = new() { CacheSignatureProviders = false } }, SecurityAlgorithms.EcdsaSha256);
        return signer;
    }
}

/// <summary>RFC 7517.</summary>
internal sealed record KeySet(IReadOnlyList<IReadOnlyDictionary<string, string>> Keys);
