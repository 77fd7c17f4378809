using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;
using MobileIntegration.ServiceDefaults;
using Scalar.AspNetCore;

namespace Gateway.Docs;

/// <summary>The API's document, one for all services, and the page on which it is read and tried out.</summary>
internal static class DocsSetup
{
    public const string Page = "/docs";
    public const string Document = "/docs/openapi.json";

    private const string DevelopmentClient = "development-docs";

    public static void AddDocs(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        var development = builder.Environment.IsDevelopment();
        services.AddOptions<DocsOptions>().BindConfiguration("Docs").ValidateDataAnnotations()
            .PostConfigure(docs =>
            {
                docs.Access ??= development ? DocsAccess.Everyone : DocsAccess.Off;
                docs.ClientId ??= development && HasOwnIdentity(builder.Configuration) ? DevelopmentClient : null;
            })
            .ValidateOnStart();
        services.AddSingleton<ServiceDocuments>();
        services.AddHttpClient(ServiceDocuments.Client).WithoutRetries();
    }

    public static void MapDocs(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<DocsOptions>>().Value is not { Access: DocsAccess.Everyone } docs)
        {
            return;
        }
        app.MapGet(Document, WriteAsync).ExcludeFromDescription();
        app.MapScalarApiReference(Page, (page, http) => Configure(page, http, docs));
    }

    private static bool HasOwnIdentity(IConfiguration configuration) => configuration["Authentication:InternalAddress"] is { Length: > 0 };

    private static async Task WriteAsync(
        HttpContext http, ServiceDocuments documents, IConfiguration configuration, IOptions<AuthenticationSettings> authentication, IOptions<AppGateOptions> gate,
        LimitsOptions limits, [FromKeyedServices("v1")] IOpenApiDocumentProvider own, CancellationToken ct)
    {
        var routes = Routes.Of(configuration);
        var services = await documents.GetAsync([.. routes.Select(route => route.Service).Distinct()], ct);
        var security = new SecuritySchemes(
            authentication.Value.Authority!, await EndpointsAsync(http, authentication.Value, ct),
            routes.Select(route => route.Scope).OfType<string>().Append(Scopes.GatewayAdmin).Distinct(), limits.RequireApiKey);
        var document = new PublicDocument(routes, new PublicAnswers(gate.Value.WithoutHeaders is GateDefault.Refuse), security)
            .Merge($"{http.Request.Scheme}://{http.Request.Host}", await ReadAsync(own, ct), services);
        http.Response.Headers.CacheControl = "no-cache";
        await http.Response.WriteAsJsonAsync(document, (JsonSerializerOptions?)null, "application/json", ct);
    }

    private static async Task<JsonObject> ReadAsync(IOpenApiDocumentProvider provider, CancellationToken ct)
    {
        var document = await provider.GetOpenApiDocumentAsync(ct);
        return JsonNode.Parse(await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1, ct))!.AsObject();
    }

    /// <summary>The system's own identity service has them at known places, another authority tells them.</summary>
    private static async Task<TokenEndpoints?> EndpointsAsync(HttpContext http, AuthenticationSettings settings, CancellationToken ct)
    {
        if (settings.InternalAddress is { Length: > 0 })
        {
            var root = settings.Authority!.TrimEnd('/');
            return new($"{root}/connect/authorize", $"{root}/connect/token");
        }
        try
        {
            var bearer = http.RequestServices.GetRequiredService<IOptionsMonitor<JwtBearerOptions>>().Get(JwtBearerDefaults.AuthenticationScheme);
            var known = await bearer.ConfigurationManager!.GetConfigurationAsync(ct);
            return known is { AuthorizationEndpoint: { Length: > 0 } authorization, TokenEndpoint: { Length: > 0 } token } ? new(authorization, token) : null;
        }
        catch (Exception) when (!ct.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>All that the page loads comes from here; what it calls is this gateway and the authority.</summary>
    private static void Configure(ScalarOptions page, HttpContext http, DocsOptions docs)
    {
        var nonce = RandomNumberGenerator.GetHexString(32, lowercase: true);
        var authority = new Uri(http.RequestServices.GetRequiredService<IOptions<AuthenticationSettings>>().Value.Authority!);
        var headers = http.Response.Headers;
        headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            + $"connect-src 'self' {authority.GetLeftPart(UriPartial.Authority)}; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        headers.XFrameOptions = "DENY";
        headers.CacheControl = "no-store";
        page.WithTitle("Mobile API")
            .WithNonce(nonce)
            .WithOpenApiRoutePattern(Document)
            .DisableDefaultFonts()
            .DisableTelemetry()
            .DisableAgent()
            .DisableMcp()
            .HideDeveloperTools()
            .HideClientButton()
            .AddPreferredSecuritySchemes(SecuritySchemes.Login);
        if (docs.ClientId is { } client)
        {
            page.AddAuthorizationCodeFlow(SecuritySchemes.Login, flow => flow
                .WithClientId(client)
                .WithPkce(Pkce.Sha256)
                // A public client has nothing to put into a header.
                .WithCredentialsLocation(CredentialsLocation.Body)
                .WithSelectedScopes(Scopes.Home, Scopes.Orders, Scopes.Devices));
        }
    }
}
