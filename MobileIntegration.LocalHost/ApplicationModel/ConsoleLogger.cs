using Microsoft.Extensions.Logging;

namespace MobileIntegration.LocalHost.ApplicationModel;

/// <summary>Writes to the console logs of some instances.</summary>
internal sealed class ConsoleLogger(ResourceLoggerService service, Func<IReadOnlyList<string>> ids) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        var text = formatter(state, exception);
        if (exception is not null)
        {
            text = $"{text}{Environment.NewLine}{exception}";
        }

        foreach (var id in ids())
        {
            service.Append(id, text, logLevel >= LogLevel.Error);
        }
    }
}
