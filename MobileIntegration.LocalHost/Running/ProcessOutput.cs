using System.Diagnostics;

namespace MobileIntegration.LocalHost.Running;

/// <summary>Reads what a process writes, whole lines of both its streams, for as long as anyone holds them open.</summary>
internal sealed class ProcessOutput
{
    private const int LastLinesKept = 6;
    private readonly Queue<string> _lastLines = new();
    private readonly Action<string, bool> _writeLine;

    /// <param name="process">Whose output is redirected and not read yet.</param>
    /// <param name="writeLine">Takes each line; true for standard error. Called from two threads.</param>
    public ProcessOutput(Process process, Action<string, bool> writeLine)
    {
        _writeLine = writeLine;
        Ended = Task.WhenAll(CopyAsync(process.StandardOutput, isError: false), CopyAsync(process.StandardError, isError: true));
    }

    public Task Ended { get; }

    /// <summary>The last lines, on one.</summary>
    public string LastWords
    {
        get
        {
            lock (_lastLines)
            {
                return string.Join(" | ", _lastLines.Select(line => line.Trim()));
            }
        }
    }

    private async Task CopyAsync(StreamReader reader, bool isError)
    {
        await Task.Yield();
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_lastLines)
            {
                _lastLines.Enqueue(line);
                if (_lastLines.Count > LastLinesKept)
                {
                    _lastLines.Dequeue();
                }
            }

            _writeLine(line, isError);
        }
    }
}
