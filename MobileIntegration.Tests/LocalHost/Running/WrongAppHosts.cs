using System.Globalization;
using Microsoft.Extensions.DependencyInjection;

namespace MobileIntegration.Tests.LocalHost.Running;

/// <summary>AppHosts that must not come up, as programs: this assembly started with the name of one.</summary>
internal static class WrongAppHosts
{
    public static readonly string[] Names = ["cycle", "name", "parameter", "late-failure"];

    public static void Main(string[] args)
    {
        var builder = DistributedApplication.CreateBuilder(args);
        switch (args.Single(Names.Contains))
        {
            case "cycle":
                var (a, b) = (Child(builder, "a"), Child(builder, "b"));
                a.WaitFor(b);
                b.WaitFor(a);
                break;
            case "name":
                Child(builder, "a_b");
                break;
            case "parameter":
                builder.Configuration["Dashboard:AwaitParameters"] = "false";
                Child(builder, "child").WithEnvironment("MISSING", builder.AddParameter("missing"));
                break;
            case "late-failure":
                var child = Child(builder, "child");
                builder.Eventing.Subscribe<AfterResourcesCreatedEvent>(async (created, ct) =>
                {
                    var notifications = created.Services.GetRequiredService<ResourceNotificationService>();
                    var running = await notifications.WaitForResourceAsync("child", change => change.Snapshot.State?.Text == KnownResourceStates.Running, ct);
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"child runs as {running.Snapshot.Properties.Single(property => property.Name == "executable.pid").Value}"));
                    throw new DistributedApplicationException("It failed when 'child' ran.");
                });
                break;
        }

        builder.Build().Run();
    }

    private static IResourceBuilder<ExecutableResource> Child(IDistributedApplicationBuilder builder, string name) =>
        builder.AddExecutable(name, "sh", Path.GetTempPath(), "-c", "exec sleep 1000");
}
