using System.Text;

namespace MobileIntegration.ServiceDefaults;

/// <summary>
/// Standard output where no terminal shows it: what is written within a moment goes out together, since a write of its own for every line of the log
/// costs a busy service, and who reads it, more than the line does. Nothing stays back when the process ends, unless it is killed.
/// </summary>
/// <remarks>Calls come one at a time: <see cref="Console.SetOut"/> sees to it.</remarks>
internal sealed class BatchedOutput : StreamWriter
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(20);
    private readonly Timer _timer = new(_ => Console.Out.Flush());
    private bool _isDue;

    private BatchedOutput() : base(Console.OpenStandardOutput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), bufferSize: 32 * 1024)
    {
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Console.Out.Flush();
        AppDomain.CurrentDomain.UnhandledException += (_, _) => Console.Out.Flush();
    }

    /// <summary>A terminal is written to as before.</summary>
    public static void Use()
    {
        if (Console.IsOutputRedirected)
        {
            Console.SetOut(new BatchedOutput());
        }
    }

    public override void Write(char value)
    {
        base.Write(value);
        FlushSoon();
    }

    public override void Write(string? value)
    {
        base.Write(value);
        FlushSoon();
    }

    public override void Write(char[] buffer, int index, int count)
    {
        base.Write(buffer, index, count);
        FlushSoon();
    }

    public override void Flush()
    {
        _isDue = false;
        base.Flush();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _timer.Dispose();
        }
        base.Dispose(disposing);
    }

    private void FlushSoon()
    {
        if (!_isDue)
        {
            _isDue = true;
            _timer.Change(Moment, Timeout.InfiniteTimeSpan);
        }
    }
}
