using Microsoft.Extensions.Options;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Turns a mistake in the model or a missing part into one line on standard error and exit code 1, without a stack trace.</summary>
internal static class StartErrors
{
    private static int _installed;

    public static void Install(DistributedApplicationOptions options)
    {
        if (options.DisableDashboard || Interlocked.Exchange(ref _installed, 1) == 1)
        {
            // A test sees the exception itself.
            return;
        }

        AppDomain.CurrentDomain.UnhandledException += (_, unhandled) =>
        {
            if (MessageOf(unhandled.ExceptionObject as Exception) is { } message)
            {
                Console.Error.WriteLine($"error: {message}");
                Environment.Exit(1);
            }
        };
    }

    /// <summary>The one line, or null for a fault that needs its stack trace.</summary>
    public static string? MessageOf(Exception? exception) => exception switch
    {
        AggregateException { InnerExceptions: [var inner] } => MessageOf(inner),
        DistributedApplicationException or OptionsValidationException or IOException or UnauthorizedAccessException => exception.Message.ReplaceLineEndings(" ").Trim(),
        // A file of settings that is no JSON; where it is wrong, says the innermost.
        InvalidDataException => $"{exception.Message} {exception.GetBaseException().Message}".ReplaceLineEndings(" ").Trim(),
        ArgumentException { ParamName: "name" } => exception.Message.ReplaceLineEndings(" ").Trim(),
        _ => null,
    };
}
