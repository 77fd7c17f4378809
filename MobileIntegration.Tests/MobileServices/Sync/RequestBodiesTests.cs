using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MobileServices.Sync;

namespace MobileIntegration.Tests.MobileServices.Sync;

public sealed class RequestBodiesTests
{
    [Fact]
    public async Task A_small_body_does_not_wait_behind_large_ones()
    {
        const int Large = 65_537;
        var options = Options.Create(new SyncOptions { RequestBytesAtOnce = Large });
        await using var services = new ServiceCollection().AddSingleton(options).BuildServiceProvider();
        var http = new DefaultHttpContext { RequestServices = services, User = new(new ClaimsIdentity([new("sub", "ada")])) };
        http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget = "/sync/notes";
        var call = SyncCall.OfServer(http);
        var bodies = new RequestBodies(options);

        var first = await ReadAsync(Large);
        var second = ReadAsync(Large);
        using var small = await ReadAsync(10).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(10, small.Bytes.Length);
        Assert.False(second.IsCompleted);
        first.Dispose();
        using var last = await second;
        Assert.Equal(Large, last.Bytes.Length);

        Task<RequestBodies.Held> ReadAsync(int length) => bodies.ReadBytesAsync(call, new MemoryStream(new byte[length]), length);
    }
}
