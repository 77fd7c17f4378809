using System.Diagnostics;

namespace MobileIntegration.Tests.MobileServices.Push;

/// <summary>Push services as processes of their own, to be killed; those that are left end with it.</summary>
internal sealed class PushProcesses : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly List<Process> _all = [];

    /// <summary>Returns when it answers.</summary>
    public async Task<(Process Process, HttpClient Http)> StartAsync(string database, params (string Key, string Value)[] settings)
    {
        var address = $"http://127.0.0.1:{TestServices.FreePort()}";
        var process = TestServices.StartProcess(
            "MobileServices",
            [
                ("ASPNETCORE_URLS", address), ("Run", "push"), ("ConnectionStrings__mobiledb", database), ("Push__LeaseSeconds", "4"), ("Push__TimeoutSeconds", "4"),
                ("Push__FirstRetrySeconds", "0.1"), ("Logging__LogLevel__Default", "Error"), .. settings,
            ]);
        _all.Add(process);
        _ = process.StandardOutput.ReadToEndAsync();
        _ = process.StandardError.ReadToEndAsync();
        var http = new HttpClient { BaseAddress = new(address) };
        http.Authorize(TestAuthority.AllScopes);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var answer = await http.GetAsync("/alive");
                return answer.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, Patience);
        return (process, http);
    }

    public void Dispose()
    {
        foreach (var process in _all)
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
            process.Dispose();
        }
    }
}
