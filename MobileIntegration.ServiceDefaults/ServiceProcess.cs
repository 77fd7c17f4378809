using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace MobileIntegration.ServiceDefaults;

/// <summary>The life of a service's process, from its start to its exit code.</summary>
public static class ServiceProcess
{
    /// <summary>What reads settings into options; its failures name the setting.</summary>
    private const string BinderName = "Microsoft.Extensions.Configuration.Binder";

    /// <summary>By then its first connections are made and its first checks of health are through.</summary>
    private static readonly TimeSpan StartEnd = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Builds the service, validates its options, runs its migrations, then listens until it is told to stop. A start that the operator
    /// has to mend ends with one line on standard error, which says the mend, and exit code 1. SIGTERM and SIGINT stop a start as they stop a
    /// running service.
    /// </summary>
    /// <returns>The process's exit code: 0 after an orderly stop, also of a start.</returns>
    public static async Task<int> RunAsync(Func<WebApplication> build)
    {
        ArgumentNullException.ThrowIfNull(build);
        BatchedOutput.Use();
        var stopping = CancellationToken.None;
        try
        {
            await using var app = build();
            stopping = app.Lifetime.ApplicationStopping;
            app.Services.GetService<IStartupValidator>()?.Validate();
            await MigrateAsync(app);
            app.Lifetime.ApplicationStarted.Register(() => _ = ReturnMemoryAsync(stopping));
            await app.RunAsync();
            return 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return 0;
        }
        catch (StartException exception)
        {
            return Explain(exception.Message);
        }
        catch (InvalidOperationException exception) when (exception.Source is BinderName)
        {
            return Explain($"{exception.Message} Correct the setting, or remove it for its default.");
        }
        catch (OptionsValidationException exception)
        {
            return Explain(string.Join("; ", exception.Failures));
        }
        catch (AggregateException exception) when (exception.InnerExceptions.All(inner => inner is OptionsValidationException))
        {
            return Explain(string.Join("; ", exception.InnerExceptions.SelectMany(inner => ((OptionsValidationException)inner).Failures)));
        }
    }

    /// <summary>The host listens to signals only from its own start on.</summary>
    private static async Task MigrateAsync(WebApplication app)
    {
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            app.Lifetime.StopApplication();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        await app.MigrateAsync(app.Lifetime.ApplicationStopping);
        app.Lifetime.ApplicationStopping.ThrowIfCancellationRequested();
    }

    /// <summary>What the start has left behind would stay for as long as the service rests: nothing else asks for a collection then.</summary>
    private static async Task ReturnMemoryAsync(CancellationToken stopping)
    {
        await Task.Delay(StartEnd, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!stopping.IsCancellationRequested)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
    }

    private static int Explain(string message)
    {
        Console.Error.WriteLine($"error: {message.ReplaceLineEndings(" ")}");
        return 1;
    }
}

/// <summary>A start that cannot succeed until the operator mends something; the message says what, on one line.</summary>
public sealed class StartException : Exception
{
    public StartException()
    {
    }

    public StartException(string message) : base(message)
    {
    }

    public StartException(string message, Exception innerException) : base(message, innerException)
    {
    }
}
