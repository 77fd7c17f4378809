using System.Diagnostics;

namespace MobileIntegration.Tests;

internal static class NpmClients
{
    /// <summary>The folder of the npm clients, in the sources: node_modules is not copied to the output.</summary>
    public static string Folder()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var clients = Path.Combine(folder.FullName, "MobileIntegration.Tests", "clients");
            if (Directory.Exists(clients))
            {
                Assert.True(Directory.Exists(Path.Combine(clients, "node_modules")), $"Run npm ci in {clients}.");
                return clients;
            }
        }

        throw new InvalidOperationException("The folder MobileIntegration.Tests/clients is not above the test's output.");
    }

    /// <summary>Runs a client to its end, with <paramref name="input"/> to read, and returns what it printed.</summary>
    public static Task<string> RunAsync(string script, string input, params string[] arguments) => RunAsync(script, input, [], arguments);

    /// <inheritdoc cref="RunAsync(string, string, string[])"/>
    public static async Task<string> RunAsync(string script, string input, (string Name, string Value)[] environment, params string[] arguments)
    {
        var start = new ProcessStartInfo("node", [script, .. arguments])
        {
            WorkingDirectory = Folder(),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }
        using var process = Process.Start(start)!;
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var (code, output, error) = await process.EndAsync();
        Assert.True(code is 0, error);
        return output.Trim();
    }
}
