using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MobileServices.Push;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>What a service writes to its log from now on, with the exceptions.</summary>
internal sealed class LogLines : ILoggerProvider, ILogger
{
    private LogLines()
    {
    }

    public ConcurrentQueue<(LogLevel Level, string Text)> All { get; } = new();

    public static LogLines Of(TestService<PushOptions> service)
    {
        var lines = new LogLines();
        service.Services.GetRequiredService<ILoggerFactory>().AddProvider(lines);
        return lines;
    }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        All.Enqueue((logLevel, $"{formatter(state, exception)} {exception}"));

    public void Dispose()
    {
    }
}
