using System.Net.Sockets;
using System.Text;

namespace MobileIntegration.Tests;

/// <summary>Requests as bytes, since no HTTP client would send some of them.</summary>
internal static class RawHttp
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Sends them and reads until the server closes the connection.</summary>
    public static async Task<string> SendAsync(Uri server, string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port);
        var stream = client.GetStream();
        using var patience = new CancellationTokenSource(Patience);
        var sending = stream.WriteAsync(Encoding.UTF8.GetBytes(request), patience.Token).AsTask();
        using var reader = new StreamReader(stream);
        var answer = new StringBuilder();
        var buffer = new char[4096];
        try
        {
            while (await reader.ReadAsync(buffer, patience.Token) is > 0 and var read)
            {
                answer.Append(buffer, 0, read);
            }
            await sending;
        }
        catch (IOException) when (answer.Length > 0)
        {
            // A server that refuses need not read the rest.
        }
        return answer.ToString();
    }

    /// <summary>The status of each answer, in order.</summary>
    public static int[] StatusesOf(string answers) =>
        [.. answers.Split("HTTP/1.1 ").Skip(1).Select(answer => int.Parse(answer.AsSpan(0, 3), System.Globalization.CultureInfo.InvariantCulture))];
}
