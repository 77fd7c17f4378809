using System.Collections.Concurrent;
using System.Diagnostics;

namespace MobileIntegration.LocalHost.Running;

/// <summary>
/// Starts every child process from one thread that lives as long as the AppHost. On Linux a child asks the kernel for a signal when
/// its parent dies (prctl PR_SET_PDEATHSIG), and "parent" there means the thread that started it: a pool thread would take its children along.
/// </summary>
internal static class Spawner
{
    private static readonly BlockingCollection<Action> Work = [];
    private static readonly bool HasSetsid = Executables.Find("setsid") is not null;
    private static readonly bool HasSetpriv = OperatingSystem.IsLinux() && SetprivKnowsDeathSignals();

    static Spawner()
    {
        var thread = new Thread(() =>
        {
            foreach (var start in Work.GetConsumingEnumerable())
            {
                start();
            }
        })
        { IsBackground = true, Name = "Process spawner" };
        thread.Start();
    }

    /// <summary>
    /// Starts <paramref name="command"/> in a session of its own (Ctrl+C in the terminal reaches the AppHost alone, which then stops its
    /// children in order), with <paramref name="deathSignal"/> sent to it should the AppHost die. The process id is the command's own.
    /// </summary>
    /// <exception cref="System.ComponentModel.Win32Exception">The command could not be started.</exception>
    public static Task<Process> StartAsync(ProcessStartInfo command, int deathSignal, Unix.User? user = null)
    {
        Wrap(command, deathSignal, user);

        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        Work.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(command)!);
            }
            catch (Exception exception)
            {
                started.SetException(exception);
            }
        });
        return started.Task;
    }

    /// <summary>That of busybox and old ones of util-linux do not.</summary>
    private static bool SetprivKnowsDeathSignals()
    {
        if (Executables.Find("setpriv") is not { } setpriv)
        {
            return false;
        }

        var question = new ProcessStartInfo(setpriv, ["--pdeathsig=TERM", "true"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(question)!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }

    private static void Wrap(ProcessStartInfo command, int deathSignal, Unix.User? user)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        List<string> wrapped = [];
        if (HasSetsid)
        {
            wrapped.Add("setsid");
        }

        if (HasSetpriv)
        {
            wrapped.AddRange(["setpriv", $"--pdeathsig={Unix.SignalName(deathSignal)}"]);
            if (user is not null)
            {
                wrapped.AddRange([$"--reuid={user.Id}", $"--regid={user.GroupId}", "--clear-groups"]);
                if (!Executables.AllUsersReach(command.FileName) || !Executables.AllUsersReach(command.WorkingDirectory))
                {
                    // Below a folder that only root may enter, the other account needs to pass through, and to read, nothing more.
                    wrapped.AddRange(["--securebits=+no_setuid_fixup", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]);
                }
            }
        }
        else if (user is not null)
        {
            command.UserName = user.Name;
        }

        if (wrapped.Count == 0)
        {
            return;
        }

        var arguments = command.ArgumentList.ToList();
        command.ArgumentList.Clear();
        foreach (var argument in wrapped.Skip(1).Append(command.FileName).Concat(arguments))
        {
            command.ArgumentList.Add(argument);
        }

        command.FileName = wrapped[0];
    }
}
