using System.Diagnostics;
using MobileIntegration.LocalHost.Running;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>The AppHost's program, started as dotnet run does once it has built.</summary>
internal sealed class AppHostProcess
{
    // The build's own output: beside the tests lies a copy with the tests' dependencies.
    private static readonly string Assembly = Path.Combine(
        AppContext.BaseDirectory.Replace("MobileIntegration.Tests", "MobileIntegration.AppHost", StringComparison.Ordinal), "MobileIntegration.AppHost.dll");

    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly List<string> _errors = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public AppHostProcess(string data, string[] args, string? assembly = null, (string Name, string Value)[]? environment = null)
    {
        var command = new ProcessStartInfo(Executables.DotNet)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var argument in (string[])[assembly ?? Assembly, "--data-folder", data, .. args])
        {
            command.ArgumentList.Add(argument);
        }

        command.Environment["DOTNET_ENVIRONMENT"] = "Development";
        foreach (var (name, value) in environment ?? [])
        {
            command.Environment[name] = value;
        }

        _process = Process.Start(command)!;
        var output = CopyAsync(_process.StandardOutput, _lines);
        var errors = CopyAsync(_process.StandardError, _errors);
        Exited = Task.Run(async () =>
        {
            await _process.WaitForExitAsync();
            await Task.WhenAll(output, errors);
            return _process.ExitCode;
        });
    }

    public int Id => _process.Id;

    public Task<int> Exited { get; }

    public IReadOnlyList<string> Lines => Copy(_lines);

    public IReadOnlyList<string> ErrorLines => Copy(_errors);

    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }
    }

    public async Task WaitForLineAsync(string part, TimeSpan patience)
    {
        using var deadline = new CancellationTokenSource(patience);
        while (true)
        {
            var changed = Volatile.Read(ref _changed).Task;
            if (Copy(_lines).Exists(line => line.Contains(part, StringComparison.Ordinal)))
            {
                return;
            }

            if (await Task.WhenAny(changed, Exited).WaitAsync(deadline.Token).ContinueWith(done => done.IsCanceled || Exited.IsCompleted, TaskScheduler.Default))
            {
                Assert.Fail($"The AppHost did not write '{part}'. It wrote:\n{string.Join('\n', Copy(_lines))}\n{string.Join('\n', Copy(_errors))}");
            }
        }
    }

    private List<string> Copy(List<string> lines)
    {
        lock (_lines)
        {
            return [.. lines];
        }
    }

    private async Task CopyAsync(StreamReader reader, List<string> lines)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (_lines)
            {
                lines.Add(line);
            }

            Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        }
    }
}
