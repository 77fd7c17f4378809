using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;
using Polly;

namespace IntegrationServices.Connectors;

/// <summary>How one backend system is called; configuration section <c>Backends:{system}</c>.</summary>
internal sealed class ConnectorOptions : IValidatableObject
{
    /// <summary>Where it is, a service-discovery name by default. Not used for a system that is reached by a connection string.</summary>
    [Required, Url(ErrorMessage = "Backends:*:Address must be an absolute http(s) address.")]
    public string Address { get; set; } = "";

    /// <summary>The longest that one call may take, retries and the reading of the answer included; 0.05 to 60 s, 5 unless set.</summary>
    [Range(0.05, 60, ErrorMessage = "Backends:*:TimeoutSeconds must be from 0.05 to 60.")]
    public double TimeoutSeconds { get; set; } = 5;

    /// <summary>The bulkhead: calls of one process that may be under way at once; as many wait, more fail with 503; 1 to 10,000, 100 unless set.</summary>
    [Range(1, 10_000, ErrorMessage = "Backends:*:Concurrency must be from 1 to 10000.")]
    public int Concurrency { get; set; } = 100;

    /// <summary>Calls within 30 s below which failures, however many, do not open the breaker of HTTP systems; from 2 on, 100 unless set.</summary>
    [Range(2, 1_000_000, ErrorMessage = "Backends:*:BreakerCalls must be from 2 to 1000000.")]
    public int BreakerCalls { get; set; } = 100;

    /// <summary>Sent in the header <see cref="ApiKeyHeader"/>.</summary>
    public string? ApiKey { get; set; }

    public string ApiKeyHeader { get; set; } = "X-Api-Key";

    /// <summary>With <see cref="Password"/>, sent as HTTP Basic.</summary>
    public string? UserName { get; set; }

    public string? Password { get; set; }

    /// <summary>Where an OAuth access token is fetched with <see cref="ClientId"/>, <see cref="ClientSecret"/> and <see cref="Scope"/> (client credentials).</summary>
    [Url(ErrorMessage = "Backends:*:TokenAddress must be an absolute http(s) address.")]
    public string? TokenAddress { get; set; }

    public string? ClientId { get; set; }

    public string? ClientSecret { get; set; }

    public string? Scope { get; set; }

    /// <summary>PEM file of the certificate that this side shows (mutual TLS).</summary>
    public string? ClientCertificate { get; set; }

    /// <summary>PEM file of its key; unset when the certificate's file holds it.</summary>
    public string? ClientKey { get; set; }

    /// <summary>PEM file of the authority that issued the system's certificate; unset for those that this machine trusts.</summary>
    public string? CertificateAuthority { get; set; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        string?[] kinds = [ApiKey, UserName, TokenAddress];
        if (kinds.Count(kind => kind is not null) > 1)
        {
            yield return new("Backends:*: set one of ApiKey, UserName and TokenAddress, not several.");
        }
        if (TokenAddress is not null && (string.IsNullOrEmpty(ClientId) || string.IsNullOrEmpty(ClientSecret)))
        {
            yield return new("Backends:*:TokenAddress needs ClientId and ClientSecret.");
        }
        foreach (var file in (string?[])[ClientCertificate, ClientKey, CertificateAuthority])
        {
            if (file is not null && !File.Exists(file))
            {
                yield return new($"Backends:*: the file {file} of a certificate or key is not there.");
            }
        }
    }
}

internal static class ConnectorExtensions
{
    /// <summary>Validated options under the system's name, and the failure handler that all connectors share.</summary>
    public static OptionsBuilder<ConnectorOptions> AddConnectorOptions(this IHostApplicationBuilder builder, string system)
    {
        var connectorOptions = builder.Services.AddOptions<ConnectorOptions>(system)
            .Configure(options => options.Address = $"http://{system}")
            .BindConfiguration($"Backends:{system}")
            .ValidateDataAnnotations()
            .ValidateOnStart();
        if (builder.Properties.TryAdd(nameof(BackendExceptionHandler), true))
        {
            builder.Services.AddExceptionHandler<BackendExceptionHandler>();
        }
        return connectorOptions;
    }

    /// <summary>Slices of one process share the connector of a system.</summary>
    /// <returns>False when it is there already.</returns>
    public static bool IsNewConnector(this IHostApplicationBuilder builder, string system) => builder.Properties.TryAdd($"connector:{system}", true);

    /// <summary>
    /// Two quick retries of what may be repeated, none where the system said when to come back. A system half of whose answers are failures is left
    /// alone for a moment; one that fails now and then is not.
    /// </summary>
    public static void SuitBackends(this HttpStandardResilienceOptions options, Func<Outcome<HttpResponseMessage>, bool> isTransient)
    {
        options.AttemptTimeout.Timeout = TimeSpan.FromSeconds(5);
        options.TotalRequestTimeout.Timeout = TimeSpan.FromSeconds(15);
        options.Retry.MaxRetryAttempts = 2;
        options.Retry.Delay = TimeSpan.FromMilliseconds(150);
        options.Retry.ShouldRetryAfterHeader = false;
        options.Retry.ShouldHandle = attempt => ValueTask.FromResult(isTransient(attempt.Outcome) && attempt.Outcome.Result?.Headers.RetryAfter is null);
        options.CircuitBreaker.FailureRatio = 0.5;
        options.CircuitBreaker.ShouldHandle = attempt => ValueTask.FromResult(isTransient(attempt.Outcome));
    }

    /// <summary>The bulkhead: one slow system holds up so many callers and no more. And how many calls the breaker judges by.</summary>
    public static IHttpStandardResiliencePipelineBuilder AddBulkhead(this IHttpStandardResiliencePipelineBuilder pipeline, string system) =>
        pipeline.Configure((options, services) =>
        {
            var connector = services.GetRequiredService<IOptionsMonitor<ConnectorOptions>>().For(system);
            var most = connector.Concurrency;
            options.CircuitBreaker.MinimumThroughput = connector.BreakerCalls;
            (options.RateLimiter.DefaultRateLimiterOptions.PermitLimit, options.RateLimiter.DefaultRateLimiterOptions.QueueLimit) = (most, most);
        });

    public static ConnectorOptions For(this IOptionsMonitor<ConnectorOptions> options, string system) => options.Get(system);
}

/// <summary>What every connector does around a call: one deadline for all of it, and failures in the system's name.</summary>
internal static class Guarded
{
    public static async Task<T> CallAsync<T>(string system, ConnectorOptions options, Func<CancellationToken, Task<T>> call, CancellationToken ct)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var patience = TimeSpan.FromSeconds(options.TimeoutSeconds);
        deadline.CancelAfter(Deadline.Current is { } caller && caller.Remaining < patience ? caller.Remaining : patience);
        try
        {
            return await call(deadline.Token);
        }
        catch (Exception exception) when (deadline.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw BackendException.From(system, CallFailure.TooLate, exception);
        }
        catch (Exception exception) when (!ct.IsCancellationRequested && CallFailure.From(exception) is not null)
        {
            throw BackendException.From(system, CallFailure.From(exception)!.Value, exception);
        }
    }
}

/// <summary>One record of a backend while it is mapped: what it must hold is asked for here, so that a gap names system, record and field.</summary>
internal readonly record struct SourceRecord(string System, string Name)
{
    public T Required<T>(T? value, [CallerArgumentExpression(nameof(value))] string field = "") where T : class =>
        value ?? throw Missing(field);

    public T Required<T>(T? value, [CallerArgumentExpression(nameof(value))] string field = "") where T : struct =>
        value ?? throw Missing(field);

    /// <summary>A list that must be there, in which every entry must be one.</summary>
    public IReadOnlyList<T> Entries<T>(IReadOnlyList<T?>? list, [CallerArgumentExpression(nameof(list))] string field = "") where T : class
    {
        var there = Required(list, field);
        List<T> entries = [.. there.OfType<T>()];
        return entries.Count == there.Count ? entries : throw Wrong(field, "has an empty entry");
    }

    /// <summary>One of the names that the model has.</summary>
    public T OneOf<T>(string? name, [CallerArgumentExpression(nameof(name))] string field = "") where T : struct, Enum
    {
        var there = Required(name, field);
        return Text.IsName<T>(there, out var known) ? known : throw Wrong(field, $"is '{(there.Length > 40 ? there[..40] + "..." : there)}'");
    }

    /// <summary>A number of pieces.</summary>
    public int Whole(decimal? number, [CallerArgumentExpression(nameof(number))] string field = "") =>
        Required(number, field) is var value && value == decimal.Truncate(value) && value is >= int.MinValue and <= int.MaxValue
            ? (int)value
            : throw Wrong(field, string.Create(CultureInfo.InvariantCulture, $"is {value}, no whole number of pieces"));

    /// <summary>In degrees.</summary>
    public Position Position(double latitude, double longitude, string field) =>
        Math.Abs(latitude) <= 90 && Math.Abs(longitude) <= 180 ? new(latitude, longitude) : throw Wrong(field, "is no place on earth");

    public Money Money(decimal amount, string currency, string field)
    {
        try
        {
            return MobileIntegration.Contracts.Money.Of(amount, currency);
        }
        catch (ArgumentException exception)
        {
            throw Wrong(field, $"is no amount of money ({exception.Message})");
        }
    }

    public BackendException Wrong(string field, string what) => BackendException.Unusable(System, Name, FieldOf(field), what);

    private BackendException Missing(string field) => Wrong(field, "is missing");

    /// <summary><c>source.Name?.Given</c> is the backend's <c>Name.Given</c>.</summary>
    private static string FieldOf(string expression) =>
        expression.Contains('.', StringComparison.Ordinal) ? expression[(expression.IndexOf('.', StringComparison.Ordinal) + 1)..].Replace("?", "", StringComparison.Ordinal) : expression;
}
