using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Options;
using MobileIntegration.Contracts;
using MobileIntegration.ServiceDefaults;

namespace IntegrationServices.Connectors;

/// <summary>How one backend system is called; configuration section <c>Backends:{system}</c>.</summary>
internal sealed class ConnectorOptions
{
    /// <summary>Where it is, a service-discovery name by default. Not used for a system that is reached by a connection string.</summary>
    [Required, Url(ErrorMessage = "Backends:*:Address must be an absolute http(s) address.")]
    public string Address { get; set; } = "";

    /// <summary>The longest that one call may take, retries and the reading of the answer included; 0.05 to 60 s, 5 unless set.</summary>
    [Range(0.05, 60, ErrorMessage = "Backends:*:TimeoutSeconds must be from 0.05 to 60.")]
    public double TimeoutSeconds { get; set; } = 5;
}

internal static class ConnectorExtensions
{
    /// <summary>Validated options under the system's name, and the failure handler that all connectors share.</summary>
    public static void AddConnectorOptions(this IHostApplicationBuilder builder, string system)
    {
        builder.Services.AddOptions<ConnectorOptions>(system)
            .Configure(options => options.Address = $"http://{system}")
            .BindConfiguration($"Backends:{system}")
            .ValidateDataAnnotations()
            .ValidateOnStart();
        if (builder.Properties.TryAdd(nameof(BackendExceptionHandler), true))
        {
            builder.Services.AddExceptionHandler<BackendExceptionHandler>();
            builder.Services.Configure<Microsoft.AspNetCore.Builder.ExceptionHandlerOptions>(options =>
                options.SuppressDiagnosticsCallback = context => context.Exception is BackendException or BadHttpRequestException);
        }
    }

    public static ConnectorOptions For(this IOptionsMonitor<ConnectorOptions> options, string system) => options.Get(system);
}

/// <summary>What every connector does around a call: one deadline for all of it, and failures in the system's name.</summary>
internal static class Guarded
{
    public static async Task<T> CallAsync<T>(string system, ConnectorOptions options, Func<CancellationToken, Task<T>> call, CancellationToken ct)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(TimeSpan.FromSeconds(options.TimeoutSeconds));
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
