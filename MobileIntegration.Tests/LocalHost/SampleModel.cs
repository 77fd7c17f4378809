namespace MobileIntegration.Tests.LocalHost;

/// <summary>The model whose environment Aspire was asked for.</summary>
internal static class SampleModel
{
    public static void Add(IDistributedApplicationBuilder builder)
    {
        var apiKey = builder.AddParameter("api-key", secret: true);
        var postgres = builder.AddPostgres("postgres").WithPgAdmin();
        var orders = postgres.AddDatabase("orders-db", "orders");
        var cache = builder.AddRedis("cache").WithPersistence();
        var external = builder.AddExternalService("ext-svc", "https://example.invalid/");

        var api = builder.AddProject("my-api", "Api/Api.csproj")
            .WithReference(orders).WaitFor(orders)
            .WithReference(cache)
            .WithEnvironment("API_KEY", apiKey)
            .WithHttpEndpoint(name: "admin", env: "ADMIN_PORT");

        builder.AddProject("worker", "Worker/Worker.csproj")
            .WithReference(api)
            .WithReference(external)
            .WithReference("raw", new Uri("http://raw.invalid/x"));

        // The second reference to the same source does not rename the first.
        builder.AddProject("worker2", "Worker/Worker.csproj").WithReference(api).WithReference(api, "renamed");

        builder.AddExecutable("tool", "sh", ".", "-c", "true")
            .WithReference(api)
            .WithHttpEndpoint(env: "PORT")
            .WithOtlpExporter();
    }

    /// <summary>Writes the launch settings of the model's projects.</summary>
    public static void WriteProjects(string folder)
    {
        foreach (var (project, port) in new[] { ("Api", 5301), ("Worker", 5601) })
        {
            var properties = Directory.CreateDirectory(Path.Combine(folder, project, "Properties")).FullName;
            File.WriteAllText(Path.Combine(folder, project, $"{project}.csproj"), "<Project />");
            File.WriteAllText(Path.Combine(properties, "launchSettings.json"), $$"""
                {
                  // A profile that does not launch the project is skipped.
                  "profiles": {
                    "IIS Express": { "commandName": "IISExpress" },
                    "http": {
                      "commandName": "Project",
                      "applicationUrl": "http://localhost:{{port}}",
                      "environmentVariables": { "ASPNETCORE_ENVIRONMENT": "Development" },
                    },
                  }
                }
                """);
        }
    }
}
